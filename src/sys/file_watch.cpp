#include "sys/file_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>

namespace driverext {
namespace {

uint64_t now_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

Result<FileWatch> FileWatch::make() {
  UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events) return os_failure(errno, "cannot watch folders");
  return FileWatch(std::move(events));
}

Result<void> FileWatch::add(const Dir& root, const std::string& folder) {
  const Result<UniqueFd> opened = root.open_file(folder, O_PATH | O_DIRECTORY);
  if (!opened) {
    const int error = opened.error().os_error;
    if (error == ENOENT || error == ENOTDIR) return {};
    return opened.error();
  }
  // inotify takes a path only: that of the folder that was found below the root. Twice the same changes nothing.
  const std::string path = "/proc/self/fd/" + std::to_string(opened->get());
  constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR;
  if (::inotify_add_watch(events_.get(), path.c_str(), kEvents) >= 0) return {};
  return os_failure(errno, "cannot watch " + root.path_of(folder));
}

Result<Waited> FileWatch::wait(uint64_t deadline_usec, int cancel_fd) {
  std::array<pollfd, 2> waited = {pollfd{events_.get(), POLLIN, 0}, pollfd{cancel_fd, POLLIN, 0}};
  while (true) {
    const uint64_t now = now_usec();
    if (now >= deadline_usec) return Waited::timed_out;
    const uint64_t left_msec = (deadline_usec - now + 999) / 1000;
    const int ready = ::poll(waited.data(), waited.size(), static_cast<int>(std::min<uint64_t>(left_msec, INT_MAX)));
    if (ready < 0 && errno != EINTR) return os_failure(errno, "cannot wait for a change of folders");
    if (ready <= 0) continue;
    if (waited[1].revents != 0) return Waited::cancelled;
    std::array<char, 4096> events{};
    while (::read(events_.get(), events.data(), events.size()) > 0) continue;
    return Waited::changed;
  }
}

}  // namespace driverext
