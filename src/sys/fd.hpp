// UniqueFd: the only class that closes a file descriptor.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace driverext {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  // Written out: a defaulted move would leave the same number in both objects, closed twice.
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

/// In a forked child: every descriptor but the standard ones and this one is closed.
inline void close_all_but(int kept) {
  if (kept > 3) ::syscall(SYS_close_range, 3U, static_cast<unsigned>(kept) - 1, 0U);
  ::syscall(SYS_close_range, static_cast<unsigned>(kept) + 1, ~0U, 0U);
}

}  // namespace driverext
