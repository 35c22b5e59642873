// Mounting an image for a person to look at it, and taking it away again. Independent of what a provision attaches.
#pragma once

#include <string>

#include "base/result.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {

/// What keeps the bytes that are read equal to those that were signed.
enum class Guard {
  dm_verity,     ///< the kernel, at each read
  checked_once,  ///< nothing: every block is checked before the mount, none when it is read. Never by itself
};

/// Read-only, at a directory that nothing is mounted on. A failure leaves nothing behind. `root`: where the note of a
/// mount without dm-verity is left, by which unmount_image() knows it again.
/// Errors: Errc::untrusted with the reason, Reason::mount_conflict, Reason::kernel_feature_missing.
Result<void> mount_image(Kernel& kernel, const Dir& root, const VerifiedImage& image, const std::string& target,
                         Guard guard);

/// Takes mount, dm-verity device and loop devices away. A device that is mounted elsewhere too goes with its last
/// mount. Errors: Errc::not_found if nothing is mounted there, Errc::conflict if it is not what mount_image() mounts.
Result<void> unmount_image(Kernel& kernel, const Dir& root, const std::string& target);

}  // namespace driverext
