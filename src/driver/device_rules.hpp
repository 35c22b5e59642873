// What a driver definition says of device nodes: its [[device]] tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace driverext {

/// Stands in DefinedNode::node for the minor number.
constexpr std::string_view kMinorPlace = "{minor}";
constexpr unsigned kMaxMinor = (1U << 20) - 1;
/// So long is waited for a node that the kernel makes, if the definition says nothing.
constexpr unsigned kNodeWaitSeconds = 10;

/// Something that must be so, or the rule does not count.
struct DeviceCondition {
  enum class Kind {
    exists,  ///< something has a name that matches `file`
    is,      ///< `file` has a line "key: value"
    is_not,  ///< it has not; nor does a file that is not there
  };
  Kind kind = Kind::exists;
  std::string file;  ///< "proc/driver/x/params"; of `exists` with wildcards as in DefinedNode::each
  std::string key;
  std::string value;
};

/// Device nodes that the kernel makes once the driver runs. What they must be is asked of the kernel, so that a stray
/// file of that name does not pass for one.
struct DefinedDevice {
  std::string name;  ///< by which drop-ins tell it from others; mostly empty
  // One of three: a device in sysfs, a miscellaneous device, or all those of a class.
  std::string node;                  ///< "dev/video0"; of a class the kernel says it
  std::string sysfs_number;          ///< file with MAJOR:MINOR, "sys/class/video4linux/video0/dev"
  std::string misc;                  ///< name in /proc/misc
  std::string device_class;          ///< "sys/class/drm"
  std::string names;                 ///< of a class: those that match, "renderD*"; empty: all
  std::vector<std::string> drivers;  ///< of a class: those whose driver has one of these names; empty: all
  bool only_virtual = false;         ///< of a class: those without hardware, below sys/devices/virtual
  bool optional = false;             ///< no error if there is no such device
  std::optional<unsigned> mode;      ///< permission bits that it must have; nothing: whatever udev says
  std::string group;                 ///< the same of its group
  unsigned wait_sec = kNodeWaitSeconds;
};

struct MinorRange {
  unsigned first = 0;
  unsigned last = 0;
};

/// Device nodes that the kernel does not make: the driver registers a number and leaves the rest to user space.
struct DefinedNode {
  std::string name;                        ///< as in DefinedDevice
  std::string node;                        ///< "dev/nvidiactl", "dev/nvidia{minor}"
  std::vector<std::string> registered_as;  ///< names in /proc/devices, the first one there counts
  // One of three: one minor, a list of them, or one for each file.
  std::optional<unsigned> minor;
  std::vector<MinorRange> minors;
  std::string count_file;              ///< with `minors`: there are only so many of them, says `count_key` in this file
  std::string count_key;               ///< empty: no limit
  std::string each;                    ///< "proc/driver/x/*/information": "*" is a name, "**" any number of folders
  std::string minor_key;               ///< with `each`: key of the minor number; empty: they are counted
  std::vector<std::string> name_keys;  ///< with `each`: keys of other names of the device, for container engines
  /// File with DeviceFileMode, DeviceFileUID, DeviceFileGID, ModifyDeviceFiles; empty: that of `each` itself. What
  /// nothing says is 0666, root.
  std::string permissions;
  std::vector<DeviceCondition> conditions;  ///< all must be met
  bool optional = false;                    ///< no node if nothing is registered, or nothing matches `each`
  bool in_containers = true;                ///< false: for administrators; no container gets it unasked

  /// Whether there can be several.
  [[nodiscard]] bool is_pattern() const { return node.find(kMinorPlace) != std::string::npos; }
};

struct DeviceRules {
  std::vector<DefinedDevice> made_by_kernel;
  std::vector<DefinedNode> made_here;
};

/// "dev/x{minor}" and 3 → "dev/x3".
std::string node_name(const std::string& pattern, unsigned minor);
/// "dev/x{minor}" and "dev/x3" → 3; nothing if the name is of another form. A pattern without a place for it fits
/// itself, with 0.
std::optional<unsigned> minor_in_name(std::string_view pattern, std::string_view name);

}  // namespace driverext
