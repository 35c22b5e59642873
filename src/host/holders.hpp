// Holders: which processes have a driver's devices open, and which modules use its modules. As long as there are any,
// the driver cannot be unloaded or exchanged.
//
// Everything is read below one root. Devices are told by their number: a container has nodes of its own, under names of
// its own, and in other mount namespaces. Where /proc is not the kernel's (a tree of files that stands for a host),
// what a descriptor's link leads to below the root is asked, and else its name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "host/control_group.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Character devices.
struct DeviceNumbers {
  unsigned major = 0;
  std::optional<unsigned> minor;  ///< nothing: every one of the major

  bool operator==(const DeviceNumbers&) const = default;
};

struct HolderQuery {
  std::vector<DeviceNumbers> devices = {};
  /// "/dev/x{minor}", with {...} for digits: what is asked for where a device has no number.
  std::vector<std::string> nodes = {};
  enum class Depth {
    descriptors,
    /// Also what is mapped: a mapping holds a device after its descriptor was closed. It waits for a process that hangs
    /// with its memory locked, so it is only for when somebody must be there and was not seen.
    mappings,
  };
  Depth depth = Depth::descriptors;
};

struct ProcessHolder {
  int pid = 0;
  std::string name;  ///< as the process calls itself (comm): any bytes
  ControlGroup group;
  std::vector<std::string> devices;  ///< as the process calls them
  std::vector<std::string> handles;  ///< relative to the root, "proc/42/fd/3": links to what is open
  bool operator==(const ProcessHolder&) const = default;
};

struct ProcessHolders {
  std::vector<ProcessHolder> processes;  ///< by pid
  bool all_seen = true;                  ///< false: there are processes that this user may not look into
};

/// "/dev/x{minor}" stands for /dev/x followed by digits.
bool is_node_of(std::string_view path, std::string_view pattern);

/// Errors: only if proc itself cannot be listed.
Result<ProcessHolders> find_process_holders(const Dir& root, const HolderQuery& query);

/// "trainer (pid 42, job.service)", for people: printable. A container's id is shortened as its engine does.
std::string process_text(const ProcessHolder& holder);
/// The same, with "has /dev/x open".
std::string holder_text(const ProcessHolder& holder);

/// A loaded module, and what uses it.
struct ModuleUse {
  std::string name;                  ///< as /proc/modules spells it
  unsigned references = 0;           ///< its use count: one for each module in used_by, the others are devices in use
  std::vector<std::string> used_by;  ///< modules
  bool is_removable = true;          ///< false: this kernel unloads no modules
  bool operator==(const ModuleUse&) const = default;

  /// Not explained by modules.
  [[nodiscard]] unsigned other_references() const {
    const auto modules = static_cast<unsigned>(used_by.size());
    return references > modules ? references - modules : 0;
  }
};

/// Those of these modules that are loaded, and, however far away, those that use them: each once, in the order in which
/// they are come upon. Errors: those of reading sys/module.
Result<std::vector<ModuleUse>> read_module_uses(const Dir& root, const std::vector<std::string>& names);

}  // namespace driverext
