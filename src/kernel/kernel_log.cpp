#include "kernel/kernel_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace driverext {
namespace {
constexpr size_t kMaxRecord = 8192;  // a read of less than a record fails
constexpr size_t kMaxLines = 200;
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
  std::vector<std::string> lines;
  std::array<char, kMaxRecord> record{};
  while (fd_ && lines.size() < kMaxLines) {
    const ssize_t size = ::read(fd_.get(), record.data(), record.size());
    if (size < 0 && (errno == EPIPE || errno == EINTR)) continue;  // the oldest ones were overwritten
    if (size <= 0) break;
    lines.push_back(kernel_log_text({record.data(), static_cast<size_t>(size)}));
  }
  return lines;
}

}  // namespace driverext
