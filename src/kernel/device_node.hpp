// Character device nodes: mknod(2), chown(2), chmod(2), setxattr(2), rename(2).
#pragma once

#include "kernel/kernel.hpp"

namespace driverext {

Result<void> make_device_node(const std::string& path, const DeviceNode& node);
Result<std::optional<DeviceNode>> find_device_node(const std::string& path);
Result<void> remove_device_node(const std::string& path);
Result<void> change_device_node(const std::string& path, const DeviceNode& node);

/// Opens and closes it. EBUSY and EACCES are fine: somebody is there to answer.
Result<void> try_device_node(const std::string& path);

}  // namespace driverext
