// The device nodes that the kernel makes itself: which there are, by a device in sysfs, by a class of them or by
// /proc/misc, and whether each node is what it must be.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/device_rules.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct KernelDevice {
  std::string path;  ///< relative to the root, "dev/dri/card0"
  unsigned major = 0;
  unsigned minor = 0;
};

/// What the kernel shows now. Errors: Reason::device_missing if it is nothing, and the rule is not optional.
Result<std::vector<KernelDevice>> find_kernel_devices(const Dir& root, const DefinedDevice& rule);

/// The node is there, with the device's number. Errors: Reason::device_missing.
Result<void> check_kernel_node(const Dir& root, const KernelDevice& device);

/// Number of a group of the host; nothing if it has none of that name.
Result<std::optional<unsigned>> find_group(const Dir& root, const std::string& name);

}  // namespace driverext
