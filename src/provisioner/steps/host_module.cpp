#include "provisioner/steps/host_module.hpp"

#include <cerrno>

namespace driverext {
namespace {

std::string parameters_of(const ModprobeConfig& modprobe, const std::string& name) {
  std::string text;
  for (const auto* lines : {&modprobe.options, &modprobe.command_line}) {
    const auto found = lines->find(name);
    if (found == lines->end()) continue;
    for (const ModprobeLine& line : found->second) text += (text.empty() ? "" : " ") + line.value;
  }
  return text;
}

bool is_unwanted(const ModprobeConfig& modprobe, const std::string& name) {
  return modprobe.blacklist.contains(name) || modprobe.install.contains(name);
}

Error failure(const HostModule& module, Error error) {
  // The host's index names a file that is gone, as after an update of its kernel: no image would do better.
  if (error.code == Errc::not_found && error.os_error == 0) {
    return make_error(Errc::system, Reason::dependency_missing,
                      "the host lists module " + module.name + ", and there is no file " + module.path);
  }
  error.reason = Reason::dependency_missing;
  return error;
}

}  // namespace

Result<void> load_host_module(const StepContext& context, const ModprobeConfig& modprobe, const std::string& name,
                              std::vector<std::string>& loaded) {
  TRY(const std::vector<HostModule> order, context.host_modules.load_order(name));
  for (const HostModule& module : order) {
    TRY(const auto there, context.kernel.find_module(module.name));
    if (there || (module.is_soft && is_unwanted(modprobe, module.name))) continue;
    if (const auto install = modprobe.install.find(module.name); install != modprobe.install.end()) {
      return make_error(Errc::incompatible, Reason::module_blacklisted,
                        "module " + module.name + " of the host is needed, and \"install\" in " +
                            install->second.source + " says what to do instead of loading it");
    }
    Result<void> load = context.kernel.load_module(module.path, parameters_of(modprobe, module.name));
    if (!load && load.error().os_error == EEXIST) continue;  // udev was quicker
    if (!load && module.is_soft) continue;
    if (!load) return failure(module, std::move(load).error());
    loaded.push_back(module.name);
  }
  return {};
}

}  // namespace driverext
