// The device nodes that a driver leaves to user space, as the kernel reports them: /proc/devices for the numbers, the
// driver's own files in /proc for which devices there are. PCI lines are never counted.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct ReportedNode {
  std::string path;  ///< relative to the root, "dev/nvidia0"
  DeviceNode node;
  /// Of one device: its number in the order of the folders, then its other names. Empty: all devices share this node.
  std::vector<std::string> names;
  bool may_make = true;  ///< false: the driver says that nodes are somebody else's to make (ModifyDeviceFiles: 0)
};

/// Character devices by name: the part of /proc/devices between its two headings. Of several lines with one name the
/// first counts.
std::map<std::string, unsigned> parse_proc_devices(std::string_view text);

/// "Key: value" lines; blanks around both are dropped, lines without a colon too. The first of a key counts.
std::map<std::string, std::string> parse_key_values(std::string_view text);

/// Errors: Reason::device_missing if a number is not registered that the definition does not call optional, or if the
/// driver reports no device at all.
Result<std::vector<ReportedNode>> read_reported_nodes(const Dir& root, const Definition& definition);

}  // namespace driverext
