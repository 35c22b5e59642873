// The modules that a kernel has on the host and those that are built into it, as their indexes list them: by name only,
// which is enough to know what could be loaded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/host_files.hpp"
#include "modules/module_file.hpp"

namespace driverext {

/// No kernel's index is larger: a tenth of that is usual.
constexpr size_t kMaxModuleIndex = size_t{16} << 20;

/// The paths in a modules.dep, modules.order or modules.builtin. Sources: depmod(8) ("PATH: PATH..."),
/// Documentation/kbuild/kbuild.rst (a path a line). Nothing if that is not what the text is.
std::optional<std::vector<std::string>> parse_module_paths(std::string_view text);

/// As /proc/modules spells them, sorted.
struct ModuleLists {
  std::optional<std::vector<std::string>> paths;    ///< below the folder of the modules; nothing: no index can be read
  std::optional<std::vector<std::string>> on_host;  ///< names of those
  std::optional<std::vector<std::string>> builtin;  ///< names; nothing: no such list can be read
};
ModuleLists read_module_lists(const Dir& root, const std::string& kernel_release);

/// What the first module says that is small and was made for this kernel. Only a few are tried.
std::optional<ModuleInfo> read_sample_module(const Dir& root, const std::string& kernel_release,
                                             const std::vector<std::string>& paths);

}  // namespace driverext
