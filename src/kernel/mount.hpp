// Mounting by libmount.
#pragma once

#include <string>
#include <vector>

#include "kernel/kernel.hpp"

namespace driverext {

Result<void> mount_filesystem(const MountRequest& request);
Result<std::optional<MountPoint>> find_mount_point(const std::string& target);
/// Where something is mounted, by the text of a /proc/PID/mountinfo. A line that is none is passed over.
Result<std::vector<std::string>> mount_points_in(const std::string& mountinfo);
Result<void> unmount_filesystem(const std::string& target);

}  // namespace driverext
