// A time that it is certainly later than, for hosts whose clock may be wrong when they start.
//
// A clock that is behind would make expired certificates valid again. So certificates are judged at the latest of: what
// the clock says, when the image says that it was made, when the OS was built, what systemd-timesyncd remembers, and
// what is remembered here.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// What the kernel says of its clock.
enum class ClockState {
  unsure,        ///< nobody has set it by another one, or that was long ago
  synchronised,  ///< an NTP client keeps it right
};
/// adjtimex(2).
ClockState kernel_clock_state();

/// Seconds since 1970 as decimal text.
constexpr std::string_view kClockFile = "var/lib/driverext/clock";

/// The latest of the OS's build, as its os-release file is dated, the date of the file by which systemd-timesyncd
/// remembers the time over a boot, and what is remembered here; 0 if none is known.
///
/// A date from 2046 on is taken for a mistake (a file that was touched, or an OS that was built, while the clock was
/// decades ahead): believed, it would end every certificate for ever, in a read-only /usr without a remedy, while a
/// date that is not believed only leaves the others. The bound is not one on the distance to the clock,
/// since this is what corrects a clock that starts in 1970.
int64_t earliest_time(const Dir& root);

/// To be called when an image of somebody else's was found good while the clock said `now`. `signed_after`: the later
/// of the image's creation and the day from which its signer's certificates are valid: without that day, a host whose
/// clock is dead would refuse tomorrow, as not yet valid, a signer who is younger than the image and whom it accepted
/// today. Remembered is the earlier of the two, and only if it is later than what was remembered: a clock that once was
/// years ahead would else keep the host from ever trusting a certificate again, and so would a publisher's.
Result<void> remember_time(const Dir& root, int64_t now, uint64_t signed_after);

/// To be called when a provision or an acquisition ended well. Remembers `now` if the clock is synchronised and more
/// than a day later than what is remembered: a boot that changes nothing writes nothing. A clock that is so far ahead
/// that it ends the certificates is not remembered by itself, since then nothing ends well.
Result<void> remember_synchronised(const Dir& root, int64_t now, ClockState state);

}  // namespace driverext
