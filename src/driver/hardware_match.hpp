// Which devices a driver is for.
#pragma once

#include <string>

#include "driver/definition.hpp"

namespace driverext {

/// fnmatch(3) of a modalias as sysfs has it. One of several hundred bytes is damaged, and matches nothing: a pattern
/// could take long over it.
bool matches_modalias(const std::string& pattern, const std::string& modalias);

/// The first [[hardware]] entry that the device is in; null if there is none.
const DefinedHardware* hardware_entry(const Definition& definition, const std::string& modalias);

}  // namespace driverext
