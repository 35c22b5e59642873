#include "host/holder_watch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <set>
#include <string>

#include "sys/fd.hpp"

namespace driverext {
namespace {

constexpr uint64_t kMaxPollMsec = 60'000;

uint64_t now_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

class KernelWatch final : public HolderWatch {
 public:
  KernelWatch(const Dir& root, UniqueFd closes) : root_(root), closes_(std::move(closes)) {}

  bool add(const std::vector<ProcessHolder>& holders) override {
    bool is_new = false;
    for (const ProcessHolder& holder : holders) {
      if (pids_.insert(holder.pid).second) {
        is_new = true;
        // Not ::pidfd_open: glibc 2.36 declares it without C linkage.
        UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, holder.pid, 0)));
        if (process) processes_.push_back(std::move(process));
      }
      for (const std::string& handle : holder.handles) {
        if (!handles_.insert(handle).second) continue;
        is_new = true;
        // Through the descriptor's link it is the very node that was opened, whatever it is called here. Told of once
        // the last descriptor and mapping of an open file is gone.
        (void)::inotify_add_watch(closes_.get(), root_.path_of(handle).c_str(), IN_CLOSE);
      }
    }
    return is_new;
  }

  Waited wait(uint64_t deadline_usec, int cancel_fd) override {
    while (true) {
      const uint64_t now = now_usec();
      if (now >= deadline_usec) return Waited::out_of_time;
      std::vector<pollfd> waited = {{closes_.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}};
      for (const UniqueFd& process : processes_) waited.push_back({process.get(), POLLIN, 0});
      const auto left = std::min<uint64_t>((deadline_usec - now) / 1000 + 1, kMaxPollMsec);
      if (::poll(waited.data(), waited.size(), static_cast<int>(left)) <= 0) continue;
      if (waited[1].revents != 0) return Waited::cancelled;
      if (waited[0].revents != 0) forget_closes();
      for (size_t i = waited.size(); i-- > 2;) {
        if (waited[i].revents != 0) processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(i - 2));
      }
      return Waited::changed;
    }
  }

 private:
  // Which of them it was is seen when they are looked for again.
  void forget_closes() {
    std::array<char, 4096> events{};
    ssize_t size = 0;
    do size = ::read(closes_.get(), events.data(), events.size());
    while (size > 0 || (size < 0 && errno == EINTR));
  }

  const Dir& root_;
  UniqueFd closes_;
  std::set<int> pids_;
  std::set<std::string> handles_;
  std::vector<UniqueFd> processes_;
};

}  // namespace

Result<std::unique_ptr<HolderWatch>> make_holder_watch(const Dir& root) {
  UniqueFd closes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!closes) return os_failure(errno, "cannot watch who closes a device");
  return std::unique_ptr<HolderWatch>(std::make_unique<KernelWatch>(root, std::move(closes)));
}

}  // namespace driverext
