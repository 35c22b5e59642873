// Driver definitions: all that driverext knows of one driver. Nothing else here knows a vendor.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/device_rules.hpp"
#include "driver/module_rules.hpp"
#include "driver/user_part.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr size_t kMaxDefinition = size_t{1} << 20;

/// Devices that the driver is for, and which of its flavors and versions take them.
struct DefinedHardware {
  std::string name;                     ///< for people
  std::vector<std::string> modaliases;  ///< fnmatch(3) patterns of what the kernel calls a device
  std::vector<std::string> flavors;     ///< the best first; empty: every flavor
  std::string oldest;                   ///< version; empty: any
  std::string newest;                   ///< version or branch, the last that still drives it; empty: any
};

struct Definition {
  std::string name;
  std::string description;
  std::vector<DefinedHardware>
      hardware;  ///< the first entry that matches a device says what it takes; empty: none needed
  std::vector<DefinedModule> modules;
  HostModuleRules host_modules;
  FirmwareFrom firmware = FirmwareFrom::host;
  std::vector<DefinedDevice> devices;
  std::vector<DefinedNode> nodes;
  std::optional<DefinedRoot> root;
  DefinedCheck check;
  std::optional<DefinedToolkit> toolkit;
  std::vector<DefinedDaemon> daemons;
};

/// The text of DRIVER.toml; `file` is only named in messages. Errors: Reason::config_invalid.
Result<Definition> parse_definition(std::string_view text, const std::string& driver, const std::string& file);

/// Where definitions lie; of two with one name that of the first folder counts.
inline constexpr std::array<std::string_view, 2> kDefinitionFolders = {"etc/driverext/drivers/",
                                                                       "usr/lib/driverext/drivers/"};

/// NAME.toml, changed by NAME.toml.d/*.toml of both folders: in the order of their file names, a name of the first
/// folder hides the same one of the second. `name`: another definition than the driver's own, as "generic"; empty: its
/// own. Errors: Reason::config_invalid.
Result<Definition> read_definition(const Dir& root, const std::string& driver, const std::string& name = {});

}  // namespace driverext
