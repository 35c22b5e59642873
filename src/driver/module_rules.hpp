// What a driver definition says of modules: its [[module]] tables, and those of the host.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace driverext {

/// Stands for every module that the image holds and no other [[module]] names.
constexpr std::string_view kEveryModule = "*";

/// What must be so for a module to be loaded. All that is said must hold.
struct ModuleCondition {
  std::vector<std::string> hardware;  ///< a device's modalias matches one of these fnmatch(3) patterns; empty: any host
  std::string parameter;              ///< "NAME", or "NAME=VALUE": it is given to this module; empty: whatever is given
};

struct DefinedModule {
  std::string name;                     ///< as /proc/modules spells it, or kEveryModule
  std::string parameters;               ///< "key=value key=value"
  bool optional = false;                ///< an image without it is fine
  std::optional<ModuleCondition> when;  ///< absent: always
  /// The kernel has a module of this name too: a blacklist line keeps that one away and does not mean this one.
  bool replaces_in_tree = false;

  /// The driver is not loaded without it.
  [[nodiscard]] bool is_must() const { return !optional && !when; }
};

/// Where the kernel looks for firmware while the driver is loaded, before its own folders.
enum class FirmwareFrom {
  host,         ///< nowhere else than always
  image,        ///< the image's own usr/lib/firmware: there before the first module is loaded
  driver_root,  ///< the driver root's lib/firmware: there once the root is; for firmware that is asked for later
};

/// Modules of the host that have to do with a driver. Names as /proc/modules spells them.
struct HostModuleRules {
  std::vector<std::string> required;   ///< loaded first; the driver does not work without them
  std::vector<std::string> wanted;     ///< loaded first if the host has them
  std::vector<std::string> conflicts;  ///< must not have the hardware: unloaded if nobody uses them
};

}  // namespace driverext
