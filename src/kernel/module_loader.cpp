#include "kernel/module_loader.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "kernel/module_insertion.hpp"

namespace driverext {
namespace {

// A path and parameters, with a NUL between them. The kernel takes no more parameters than a page.
constexpr size_t kMaxRequest = 16384;
// How long a killed init gets to end.
constexpr int kGraceMsec = 2000;

uint64_t now_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

[[noreturn]] void serve(int channel) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The locks and files of the process above must not outlive it in one that hangs.
  close_all_but(channel);
  std::array<char, kMaxRequest> request{};
  ModuleInsertion insertion;
  while (true) {
    const ssize_t size = ::recv(channel, request.data(), request.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(0);
    const std::string text(request.data(), static_cast<size_t>(size));
    const size_t end = std::min(text.find('\0'), text.size());
    const Result<void> inserted = insertion.insert(text.substr(0, end), text.substr(std::min(end + 1, text.size())));
    const int code = inserted ? 0 : std::max(inserted.error().os_error, 1);
    if (::send(channel, &code, sizeof(code), MSG_NOSIGNAL) < 0) ::_exit(1);
  }
}

// Readable, or at its end, before the time is over.
bool wait_until(int fd, uint64_t deadline_usec) {
  while (true) {
    const uint64_t now = now_usec();
    if (now >= deadline_usec) return false;
    pollfd waited{fd, POLLIN, 0};
    const auto left = std::min<uint64_t>((deadline_usec - now) / 1000 + 1, 60'000);
    if (::poll(&waited, 1, static_cast<int>(left)) > 0) return true;
  }
}

}  // namespace

ModuleLoader::~ModuleLoader() { stop(); }

void ModuleLoader::stop() {
  channel_ = UniqueFd();
  if (child_ > 0) ::waitpid(child_, nullptr, 0);
  child_ = -1;
}

Result<void> ModuleLoader::start() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return os_failure(errno, "cannot make a channel to the process that loads modules");
  }
  channel_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  child_ = ::fork();
  if (child_ < 0) return os_failure(errno, "cannot start the process that loads modules");
  if (child_ == 0) serve(theirs.get());
  return {};
}

Result<void> ModuleLoader::insert(const std::string& path, const std::string& parameters, uint64_t deadline_usec) {
  if (child_ < 0) TRY_VOID(start());
  const std::string request = path + '\0' + parameters;
  if (request.size() > kMaxRequest) {
    return make_error(Errc::invalid_input, "the parameters of module " + path + " are too long");
  }
  if (::send(channel_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    // It was ended, by whoever was short of memory.
    stop();
    TRY_VOID(start());
    if (::send(channel_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
      return os_failure(errno, "cannot ask for module " + path);
    }
  }
  if (!wait_until(channel_.get(), deadline_usec)) return give_up(path);
  int code = 0;
  ssize_t size = 0;
  do size = ::recv(channel_.get(), &code, sizeof(code), 0);
  while (size < 0 && errno == EINTR);
  if (size != sizeof(code)) {
    // An oops in its init ends the process that called it.
    stop();
    return os_failure(EFAULT, "the kernel ended the process that loaded module " + path);
  }
  if (code != 0) return os_failure(code, "the kernel refused module " + path);
  return {};
}

Result<void> ModuleLoader::give_up(const std::string& path) {
  ::kill(child_, SIGKILL);
  // Not ::pidfd_open: glibc 2.36 declares it without C linkage.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child_, 0)));
  pollfd waited{process.get(), POLLIN, 0};
  const bool ended = process && ::poll(&waited, 1, kGraceMsec) > 0;
  if (ended) {
    stop();
  } else {
    // It is waited for by nobody: init takes it over.
    channel_ = UniqueFd();
    child_ = -1;
  }
  Error error = make_error(ended ? Errc::transient : Errc::conflict, Reason::load_timeout,
                           "module " + path + " did not finish loading in time" +
                               (ended ? "" : ", and cannot be stopped: it stays until the next boot"));
  error.os_error = ETIMEDOUT;
  return error;
}

}  // namespace driverext
