// What to look for to know who holds a driver, or a module: the device numbers behind its nodes and its modules.
//
// Used by unload, by doctor, and before a competing module is evicted.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "host/holders.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Device numbers of loaded modules, as far as the kernel shows whose they are: what /proc/devices calls by a module's
/// own name, and the devices in sysfs that its drivers are bound to.
std::vector<DeviceNumbers> device_numbers_of(const Dir& root, const std::vector<std::string>& modules);

/// A driver's modules, and what uses them: those that would have to go with it.
Result<std::vector<ModuleUse>> modules_of_driver(const Dir& root, const Definition& definition);

/// The devices of a driver, and of all modules that use its modules. What the driver does not report is left out.
HolderQuery holder_query(const Dir& root, const Definition& definition, const std::vector<ModuleUse>& modules);
/// The devices of modules that no definition is there for.
HolderQuery holder_query(const Dir& root, const std::vector<ModuleUse>& modules);

}  // namespace driverext
