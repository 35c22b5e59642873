#include "sys/cancellation.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace driverext {
namespace {

std::atomic<int> told = -1;

// Only what is safe in a signal handler. It is not inherited by programs that are run.
void on_signal(int /*number*/) {
  const int saved = errno;
  const uint64_t one = 1;
  if (::write(told.load(), &one, sizeof(one)) < 0) errno = 0;  // there is nobody to tell
  errno = saved;
}

}  // namespace

Result<Cancellation> Cancellation::catch_signals() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return os_failure(errno, "cannot make an event descriptor");
  Cancellation made(std::move(event));
  told = made.fd();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, &made.before_int_);
  ::sigaction(SIGTERM, &action, &made.before_term_);
  made.caught_ = true;
  return made;
}

Cancellation::Cancellation(Cancellation&& other) noexcept
    : event_(std::move(other.event_)),
      caught_(std::exchange(other.caught_, false)),
      before_int_(other.before_int_),
      before_term_(other.before_term_) {}

Cancellation::~Cancellation() {
  if (!caught_) return;
  ::sigaction(SIGINT, &before_int_, nullptr);
  ::sigaction(SIGTERM, &before_term_, nullptr);
  told = -1;
}

}  // namespace driverext
