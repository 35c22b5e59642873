#include "sys/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>

#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext {

namespace {

constexpr size_t kTail = 400;
constexpr size_t kKept = 65536;
constexpr auto kGrace = std::chrono::seconds(5);

using Clock = std::chrono::steady_clock;

// Milliseconds for poll(2) until then; -1 for ever.
int left_until(const std::optional<Clock::time_point>& deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::max<long>(left, 0));
}

enum class Waited { ended, out_of_time, cancelled };

// Until `fd` has something to say.
Waited wait_for(int fd, int cancel_fd, const std::optional<Clock::time_point>& deadline) {
  if (deadline && Clock::now() >= *deadline) return Waited::out_of_time;  // it may never stop talking
  std::array<pollfd, 2> waited = {{{fd, POLLIN, 0}, {cancel_fd, POLLIN, 0}}};
  int ready = 0;
  do ready = ::poll(waited.data(), waited.size(), left_until(deadline));
  while (ready < 0 && errno == EINTR);
  if (waited[1].revents != 0) return Waited::cancelled;
  return ready == 0 ? Waited::out_of_time : Waited::ended;
}

// Reads until the program and its children have closed their end, or there is no more time.
Waited read_output(int fd, const ProgramRequest& request, const std::optional<Clock::time_point>& deadline,
                   std::string& output) {
  std::array<char, 4096> buffer{};
  while (true) {
    const Waited waited = wait_for(fd, request.cancel_fd, deadline);
    if (waited != Waited::ended) return waited;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Waited::ended;
    const std::string_view piece(buffer.data(), static_cast<size_t>(n));
    output.append(piece);
    if (request.on_output) request.on_output(piece);
    if (output.size() > 2 * kKept) output.erase(0, output.size() - kKept);
  }
}

// For one that closed its output and goes on. It is still to be waited for.
Waited wait_for_end(pid_t child, int cancel_fd, const std::optional<Clock::time_point>& deadline) {
  if (!deadline && cancel_fd < 0) return Waited::ended;
  // Not ::pidfd_open: glibc 2.36 declares it without C linkage.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  return process ? wait_for(process.get(), cancel_fd, deadline) : Waited::ended;
}

// Politely first: a container's manager has mounts of its own to take away. The child is still to be waited for.
void end_group(pid_t child) {
  ::kill(-child, SIGTERM);
  (void)wait_for_end(child, -1, Clock::now() + kGrace);
  ::kill(-child, SIGKILL);
}

}  // namespace

Result<std::string> run_program(const ProgramRequest& request) {
  std::vector<std::string> argv = request.argv;
  // By the tool of that name: between fork and exec only a few calls are safe.
  if (!request.root.empty()) argv.insert(argv.begin(), {"chroot", request.root});
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_failure(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  Undo destroy([&] { ::posix_spawn_file_actions_destroy(&actions); });
  if (request.input_fd >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, request.input_fd, 0);
  } else {
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  }
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  // A process group of its own, so that what it starts can be ended with it.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  Undo destroy_attributes([&] { ::posix_spawnattr_destroy(&attributes); });
  const bool may_be_killed = request.timeout_sec != 0 || request.cancel_fd >= 0;
  if (may_be_killed) ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const std::vector<std::string>& added_environment = request.added_environment;
  std::vector<char*> environment;
  environment.reserve(added_environment.size() + 1);
  for (const std::string& entry : added_environment) {
    environment.push_back(const_cast<char*>(entry.c_str()));
  }
  // Of two entries with one name some programs take the first, some the last: ours must be the only one.
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view theirs(*entry);
    const std::string_view key = theirs.substr(0, theirs.find('=') + 1);
    const bool replaced = std::any_of(added_environment.begin(), added_environment.end(),
                                      [&](const std::string& added) { return !key.empty() && added.starts_with(key); });
    if (!replaced) environment.push_back(*entry);
  }
  environment.push_back(nullptr);

  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, argv.front().c_str(), &actions, &attributes, arguments.data(), environment.data());
  if (error != 0) return os_failure(error, "cannot run " + argv.front());
  write_end.reset();

  std::optional<Clock::time_point> deadline;
  if (request.timeout_sec != 0) deadline = Clock::now() + std::chrono::seconds(request.timeout_sec);
  std::string output;
  Waited waited = read_output(read_end.get(), request, deadline, output);
  if (waited == Waited::ended) waited = wait_for_end(child, request.cancel_fd, deadline);
  if (waited != Waited::ended) end_group(child);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return os_failure(errno, "cannot wait for " + argv.front());
  }
  const std::string& name = request.argv.front();
  if (waited == Waited::cancelled) return make_error(Errc::transient, name + " was interrupted");
  if (waited == Waited::out_of_time) {
    return make_error(Errc::transient, name + " did not end within " + std::to_string(request.timeout_sec) + " s");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;

  const std::string tail = output.size() > kTail ? "..." + output.substr(output.size() - kTail) : output;
  return make_error(Errc::system, name +
                                      (WIFEXITED(status) ? " exited with status " + std::to_string(WEXITSTATUS(status))
                                                         : " was ended by signal " + std::to_string(WTERMSIG(status))) +
                                      (tail.empty() ? "" : ": " + tail));
}

bool is_readable(int fd) {
  pollfd waited{fd, POLLIN, 0};
  return ::poll(&waited, 1, 0) > 0;
}

}  // namespace driverext
