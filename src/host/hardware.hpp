// The devices that the kernel sees, by the names that modules claim them with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/dir.hpp"

namespace driverext {

/// Sorted, each once; nothing if sysfs shows no bus.
std::optional<std::vector<std::string>> read_modaliases(const Dir& root);

}  // namespace driverext
