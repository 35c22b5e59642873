// Our file in /run/modprobe.d: modprobe by name, udev by modalias and modules that depend on the driver's find its
// modules in the mounted image, although no index of modules lists them.
#pragma once

#include <string>

#include "driver/module_plan.hpp"

namespace driverext {

/// `folder`: absolute, where the image is mounted. Modules that the host does not want are left out; those that the
/// plan leaves out are found by their names, but not by devices. Format: modprobe.d(5).
std::string format_modprobe_file(const ModulePlanInput& input, const ModulePlan& plan, const std::string& folder);

}  // namespace driverext
