// Parts of attaching an image that the boot pipeline and `driverext image mount` share.
#pragma once

#include <string>

#include "base/result.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"
#include "sysext/image_identity.hpp"

namespace driverext {

/// Whatever stands in an image: nothing is written, no set-user-id program, no device.
constexpr const char* kImageMountOptions = "ro,nosuid,nodev";

/// The very file that was verified, under a device-mapper device of this name.
VerityRequest verity_request(const VerifiedImage& image, std::string name);

/// The image's dm-verity device of that name, if it is there. Errors: Errc::conflict if it runs over another root hash,
/// salt or size, Reason::data_corrupt if the kernel has met a wrong block in it.
Result<std::optional<VerityDevice>> find_device(Kernel& kernel, const ImageIdentity& image, const std::string& name);

/// Activates it, reads table, status and first block back, and compares them with what was asked for. Undone inside if
/// that fails. Errors: Reason::kernel_feature_missing if the kernel has no dm-verity; else as find_device.
Result<VerityDevice> open_device(Kernel& kernel, const VerifiedImage& image, const std::string& name);

/// The manifest that was signed must be the one that is mounted, byte for byte. Errors: Reason::manifest_mismatch,
/// Reason::data_corrupt.
Result<void> compare_manifest(const Dir& inside, const std::string& signed_text);

}  // namespace driverext
