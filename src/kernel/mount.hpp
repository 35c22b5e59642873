// Mounting by libmount.
#pragma once

#include "kernel/kernel.hpp"

namespace driverext {

Result<void> mount_filesystem(const MountRequest& request);
Result<std::optional<MountPoint>> find_mount_point(const std::string& target);
Result<void> unmount_filesystem(const std::string& target);

}  // namespace driverext
