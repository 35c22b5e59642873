// The lock that keeps provisions, and whatever changes what they remember, apart.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Whoever provisions holds it, and so does whoever changes what it remembers.
constexpr std::string_view kProvisionLock = "run/driverext/lock";
/// Held beside it by a look over the device nodes, which udev's events bring about and which is over in a moment.
constexpr std::string_view kDevicesLock = "run/driverext/devices-lock";

/// kProvisionLock; a look over the device nodes is waited for. Errors: Errc::transient, with the words of `busy`, if
/// somebody else has it.
Result<UniqueFd> lock_provision(const Dir& root, std::string_view busy);

}  // namespace driverext
