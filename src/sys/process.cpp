#include "sys/process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext {

Result<std::string> run_program(const std::vector<std::string>& argv,
                                const std::vector<std::string>& added_environment) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_failure(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  Undo destroy([&] { ::posix_spawn_file_actions_destroy(&actions); });
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);

  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
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
      ::posix_spawnp(&child, argv.front().c_str(), &actions, nullptr, arguments.data(), environment.data());
  if (error != 0) return os_failure(error, "cannot run " + argv.front());
  write_end.reset();

  std::string output;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t n = ::read(read_end.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output.append(buffer.data(), static_cast<size_t>(n));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return os_failure(errno, "cannot wait for " + argv.front());
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;

  constexpr size_t kTail = 400;
  const std::string tail = output.size() > kTail ? "..." + output.substr(output.size() - kTail) : output;
  return make_error(Errc::system, argv.front() +
                                      (WIFEXITED(status) ? " exited with status " + std::to_string(WEXITSTATUS(status))
                                                         : " was ended by signal " + std::to_string(WTERMSIG(status))) +
                                      (tail.empty() ? "" : ": " + tail));
}

}  // namespace driverext
