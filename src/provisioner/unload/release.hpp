// Taking away what belonged to a driver whose modules are gone.
#pragma once

#include <string>

#include "base/result.hpp"
#include "provisioner/unload/survey.hpp"

namespace driverext {

/// "dev/char/195:0" → "../x0", as the devices step makes them.
std::string node_link_name(const DeviceNode& node);
std::string node_link_target(const ReportedNode& reported);

/// One step that cannot be taken back. Returns what else is to be known of how it went; mostly nothing.
Result<std::string> release(const UnloadHost& host, const UnloadFacts& facts, const PlannedUnload& step);

}  // namespace driverext
