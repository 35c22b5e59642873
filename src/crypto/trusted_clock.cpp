#include "crypto/trusted_clock.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace driverext {
namespace {

// Not the folders of driverext itself: they are dated when something is put into them, by whatever the clock said then.
constexpr std::string_view kOsBuild = "usr/lib/os-release";
constexpr size_t kMaxClockFile = 32;
constexpr int64_t kNoBuildFrom = 2'398'377'600;  // 2046-01-01

// What cannot be read as a time is none: the next good image mends it.
int64_t remembered_time(const Dir& root) {
  const Result<std::optional<std::string>> text = root.read_if_there(kClockFile, kMaxClockFile);
  if (!text || !*text) return 0;
  const std::string_view digits = trim(**text);
  int64_t time = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), time);
  return error == std::errc() && end == digits.data() + digits.size() ? std::max<int64_t>(time, 0) : 0;
}

}  // namespace

int64_t earliest_time(const Dir& root) {
  const Result<std::optional<struct stat>> os = root.status(kOsBuild);
  const int64_t built = os && *os ? static_cast<int64_t>((*os)->st_mtim.tv_sec) : 0;
  return std::max({built < kNoBuildFrom ? built : 0, remembered_time(root), int64_t{0}});
}

Result<void> remember_time(const Dir& root, int64_t now, uint64_t signed_after) {
  if (now <= 0) return {};
  const auto time = static_cast<int64_t>(std::min(static_cast<uint64_t>(now), signed_after));
  if (time <= remembered_time(root)) return {};
  return root.write_atomic(kClockFile, std::to_string(time) + "\n", 0644);
}

}  // namespace driverext
