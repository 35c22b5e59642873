// Driver definitions: all that driverext knows of one driver. Nothing else here knows a vendor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr size_t kMaxDefinition = size_t{1} << 20;

struct DefinedModule {
  std::string name;        ///< as /proc/modules spells it
  std::string parameters;  ///< "key=value key=value"
};

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

/// A directory that looks like a root file system with the driver's user part.
struct DefinedRoot {
  std::string path;  ///< "run/nvidia/driver"
};

/// What container engines are told.
struct DefinedToolkit {
  std::string cdi_kind;                ///< "nvidia.com/gpu"; empty: no CDI spec
  std::string cdi_file;                ///< "run/cdi/nvidia.yaml"
  std::vector<std::string> libraries;  ///< file name patterns; "{version}" is the driver's
  std::vector<std::string> programs;
  std::string config_file;  ///< of the vendor's own toolkit: where it reads the driver root; empty: none
  std::string config_table;
  std::string config_key;
  std::string runtime_name;  ///< entry for container engines; empty: none
  std::string runtime_path;
};

/// Devices that the driver is for, and which of its flavors and versions take them.
struct DefinedHardware {
  std::string name;                     ///< for people
  std::vector<std::string> modaliases;  ///< fnmatch(3) patterns of what the kernel calls a device
  std::vector<std::string> flavors;     ///< the best first; empty: every flavor
  std::string oldest;                   ///< version; empty: any
  std::string newest;                   ///< version or branch, the last that still drives it; empty: any
};

/// What shows that the driver works.
enum class BuiltinCheck {
  modules,   ///< every module of the image is live
  nodes,     ///< every device node that is made here can be opened
  versions,  ///< modules and user part say that they are of one version
};

struct DefinedCheck {
  std::vector<BuiltinCheck> builtin = {BuiltinCheck::modules};
  std::vector<std::string> command;  ///< run inside the driver root; empty: none
  unsigned timeout_sec = 60;
};

struct Definition {
  std::string name;
  std::string description;
  std::vector<std::string> conflicts;  ///< modules that must not have the hardware, as /proc/modules spells them
  std::vector<DefinedHardware>
      hardware;  ///< the first entry that matches a device says what it takes; empty: none needed
  std::vector<DefinedModule> modules;
  std::vector<DefinedDevice> devices;
  std::vector<DefinedNode> nodes;
  std::optional<DefinedRoot> root;
  DefinedCheck check;
  std::optional<DefinedToolkit> toolkit;
};

/// The text of DRIVER.toml; `file` is only named in messages. Errors: Reason::config_invalid.
Result<Definition> parse_definition(std::string_view text, const std::string& driver, const std::string& file);

/// From etc/driverext/drivers, else usr/lib/driverext/drivers. Errors: Reason::config_invalid.
Result<Definition> read_definition(const Dir& root, const std::string& driver);

}  // namespace driverext
