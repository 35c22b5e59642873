// A time that it is certainly later than, for hosts whose clock may be wrong when they start.
//
// A clock that is behind would make expired certificates valid again. So certificates are judged at the latest of: what
// the clock says, when the image says that it was made, when the OS was built, and what is remembered here.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Seconds since 1970 as decimal text.
constexpr std::string_view kClockFile = "var/lib/driverext/clock";

/// The later of the OS's build, as its os-release file is dated, and what is remembered; 0 if neither is known.
int64_t earliest_time(const Dir& root);

/// To be called when an image, made by somebody else at `created`, was found good while the clock said `now`.
/// Remembered is the earlier of the two, and only if it is later than what was remembered: a clock that once was years
/// ahead would else keep the host from ever trusting a certificate again, and so would a publisher's.
Result<void> remember_time(const Dir& root, int64_t now, uint64_t created);

}  // namespace driverext
