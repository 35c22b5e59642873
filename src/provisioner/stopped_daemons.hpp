// Services of the driver that an unload has stopped: they run again once the driver does.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "sys/programs.hpp"

namespace driverext {

/// A unit a line.
constexpr std::string_view kStoppedDaemons = "run/driverext/stopped-daemons";

/// Besides those that are remembered already.
Result<void> remember_stopped_daemons(const Dir& root, const std::vector<std::string>& units);

/// Has systemd start them, those that are ordered after this provision once it has ended, and forgets them. Errors:
/// what systemctl says; they are remembered then.
Result<void> start_stopped_daemons(const Dir& root, Programs& programs);

}  // namespace driverext
