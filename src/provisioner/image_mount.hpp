// Mounting an image for a person to look at it, and taking it away again. Independent of what a provision attaches.
#pragma once

#include <string>

#include "base/result.hpp"
#include "kernel/kernel.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {

/// What keeps the bytes that are read equal to those that were signed.
enum class Guard {
  dm_verity,     ///< the kernel, at each read
  checked_once,  ///< nothing from now on: the kernel has no dm-verity, so every block was checked before the mount
};

/// Read-only, at a directory that nothing is mounted on. A failure leaves nothing behind.
/// Errors: Errc::untrusted with the reason, Reason::mount_conflict, Reason::kernel_feature_missing.
Result<Guard> mount_image(Kernel& kernel, const VerifiedImage& image, const std::string& target);

/// Takes mount, dm-verity device and loop devices away. A device that is mounted elsewhere too goes with its last
/// mount. Errors: Errc::not_found if nothing is mounted there, Errc::conflict if it is not what mount_image() mounts.
Result<void> unmount_image(Kernel& kernel, const std::string& target);

}  // namespace driverext
