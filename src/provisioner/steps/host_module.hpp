// Modules of the host, loaded as modprobe would load them.
#pragma once

#include <string>
#include <vector>

#include "modules/modprobe_config.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {

/// With all that it needs, in order, each with its options of modprobe.d and the kernel's command line. What is loaded
/// already stays as it is; the names of what was loaded are added to `loaded`, also before an error. A blacklist line
/// counts for loading by alias, so not here. Errors: Reason::module_blacklisted if an install line says what to do
/// instead; Reason::dependency_missing, Errc::not_found: the host has no such module; Reason::dependency_missing else.
Result<void> load_host_module(const StepContext& context, const ModprobeConfig& modprobe, const std::string& name,
                              std::vector<std::string>& loaded);

}  // namespace driverext
