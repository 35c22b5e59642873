// What a driver definition says of device nodes: its [[device]] tables.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace driverext {

/// A device node that the kernel makes once the driver runs. What it must be is asked of sysfs, so
/// that a stray file of that name does not pass for it.
struct DefinedDevice {
  std::string node;          ///< "dev/video0"
  std::string sysfs_number;  ///< file with MAJOR:MINOR, "sys/class/video4linux/video0/dev"
};

/// A device node that the kernel does not make: the driver registers a number and leaves the rest to user space. One
/// node, or one for each folder below `each`.
struct DefinedNode {
  std::string node;                        ///< "dev/nvidiactl", "dev/nvidia{minor}"
  std::vector<std::string> registered_as;  ///< names in /proc/devices, the first one there counts
  std::optional<unsigned> minor;
  std::string each;                    ///< folder with one folder a device, "proc/driver/nvidia/gpus"; else empty
  std::string file;                    ///< in each of them: lines of "Key: value"
  std::string minor_key;               ///< key of the minor number
  std::vector<std::string> name_keys;  ///< keys of other names of the device, for container engines
  std::string permissions;             ///< file with DeviceFileMode, DeviceFileUID, DeviceFileGID; else 0666 root:root
  bool optional = false;               ///< no node if nothing is registered
};

struct DeviceRules {
  std::vector<DefinedDevice> made_by_kernel;
  std::vector<DefinedNode> made_here;
};

}  // namespace driverext
