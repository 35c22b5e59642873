#include "sys/cancellation.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "sys/process.hpp"

namespace driverext {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

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
  if (const int outer = told.load(); outer >= 0) {
    // The same event under another number; the signals are caught already.
    UniqueFd shared(::fcntl(outer, F_DUPFD_CLOEXEC, 0));
    if (!shared) return os_failure(errno, "cannot share an event descriptor");
    return Cancellation(std::move(shared));
  }
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return os_failure(errno, "cannot make an event descriptor");
  Cancellation made(std::move(event));
  told = made.fd();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &action, &made.before_[i]);
    // Under nohup, or as a service (SIGPIPE): somebody does not want it to count.
    if (made.before_[i].sa_handler == SIG_IGN) ::sigaction(kSignals[i], &made.before_[i], nullptr);
  }
  made.caught_ = true;
  return made;
}

// Looked at, not read: it stays readable, for others that wait for it too.
bool Cancellation::has_come() const { return is_readable(fd()); }

Cancellation::Cancellation(Cancellation&& other) noexcept
    : event_(std::move(other.event_)), caught_(std::exchange(other.caught_, false)), before_(other.before_) {}

Cancellation::~Cancellation() {
  if (!caught_) return;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  told = -1;
}

}  // namespace driverext
