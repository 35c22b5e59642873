// Taking away what belonged to a driver whose modules are gone.
#pragma once

#include <string>

#include "base/result.hpp"
#include "provisioner/unload/survey.hpp"

namespace driverext {

/// One step that cannot be taken back. Returns what else is to be known of how it went; mostly nothing.
Result<std::string> release(const UnloadHost& host, const UnloadFacts& facts, const PlannedUnload& step);

}  // namespace driverext
