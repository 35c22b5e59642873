#include "crypto/trusted_clock.hpp"

#include <sys/timex.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace driverext {
namespace {

// Not the folders of driverext itself: they are dated when something is put into them, by whatever the clock said then.
constexpr std::string_view kOsBuild = "usr/lib/os-release";
// systemd-timesyncd(8) dates it with the time that it synchronised to.
constexpr std::string_view kTimesyncClock = "var/lib/systemd/timesync/clock";
constexpr size_t kMaxClockFile = 32;
constexpr int64_t kDay = 86'400;
constexpr int64_t kNoDateFrom = 2'398'377'600;  // 2046-01-01

// What cannot be read as a time is none: the next good image mends it.
int64_t remembered_time(const Dir& root) {
  const Result<std::optional<std::string>> text = root.read_if_there(kClockFile, kMaxClockFile);
  if (!text || !*text) return 0;
  const std::string_view digits = trim(**text);
  int64_t time = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), time);
  return error == std::errc() && end == digits.data() + digits.size() ? std::max<int64_t>(time, 0) : 0;
}

// 0 if there is no such file, or if its date is not believed.
int64_t date_of(const Dir& root, std::string_view file) {
  const Result<std::optional<struct stat>> there = root.status(file);
  const int64_t date = there && *there ? static_cast<int64_t>((*there)->st_mtim.tv_sec) : 0;
  return date < kNoDateFrom ? std::max<int64_t>(date, 0) : 0;
}

Result<void> write_time(const Dir& root, int64_t time) {
  return root.write_atomic(kClockFile, std::to_string(time) + "\n", 0644);
}

}  // namespace

ClockState kernel_clock_state() {
  struct timex clock {};
  const int state = ::adjtimex(&clock);
  const bool is_right = state >= 0 && state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  return is_right ? ClockState::synchronised : ClockState::unsure;
}

int64_t earliest_time(const Dir& root) {
  return std::max({date_of(root, kOsBuild), date_of(root, kTimesyncClock), remembered_time(root)});
}

Result<void> remember_time(const Dir& root, int64_t now, uint64_t signed_after) {
  if (now <= 0) return {};
  const auto time = static_cast<int64_t>(std::min(static_cast<uint64_t>(now), signed_after));
  if (time <= remembered_time(root)) return {};
  return write_time(root, time);
}

Result<void> remember_synchronised(const Dir& root, int64_t now, ClockState state) {
  if (state != ClockState::synchronised || now - kDay <= remembered_time(root)) return {};
  return write_time(root, now);
}

}  // namespace driverext
