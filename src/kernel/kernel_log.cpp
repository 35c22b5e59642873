#include "kernel/kernel_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>

namespace driverext {
namespace {
constexpr size_t kMaxRecord = 8192;  // a read of less than a record fails
constexpr size_t kMaxLines = 200;
constexpr size_t kMaxReads = 50'000;  // a log that is written faster than it is read has no end
}  // namespace

std::string kernel_log_text(std::string_view record) {
  const size_t head = record.find(';');
  if (head == std::string_view::npos) return {};
  const std::string_view text = record.substr(head + 1);
  return std::string(text.substr(0, text.find('\n')));
}

KernelLog KernelLog::from_now() {
  UniqueFd fd(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (fd && ::lseek(fd.get(), 0, SEEK_END) < 0) fd = UniqueFd();
  return KernelLog(std::move(fd));
}

std::vector<std::string> KernelLog::lines() const {
  std::deque<std::string> newest;
  std::array<char, kMaxRecord> record{};
  for (size_t reads = 0; fd_ && reads < kMaxReads; ++reads) {
    const ssize_t size = ::read(fd_.get(), record.data(), record.size());
    if (size < 0 && (errno == EPIPE || errno == EINTR)) continue;  // the oldest ones were overwritten
    if (size <= 0) break;
    newest.push_back(kernel_log_text({record.data(), static_cast<size_t>(size)}));
    if (newest.size() > kMaxLines) newest.pop_front();
  }
  return {newest.begin(), newest.end()};
}

}  // namespace driverext
