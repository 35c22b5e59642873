// What `driverext doctor` looks at, read from a host once.
#pragma once

#include "doctor/check.hpp"

namespace driverext {

/// Never fails: what cannot be read is absent, with the reason beside it. Nodes are looked at below `root`; the channel
/// is left to the caller. `now` is seconds since 1970.
DoctorInput survey_for_doctor(const Dir& root, int64_t now);

}  // namespace driverext
