// Running another program and waiting for it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace driverext {

struct ProgramRequest {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH, inside `root` if there is one
  std::vector<std::string> added_environment = {};
  std::string root = {};     ///< absolute path to chroot(2) into; empty: none
  unsigned timeout_sec = 0;  ///< after that it and its children are ended, Errc::transient; 0: never
  int input_fd = -1;         ///< its standard input; -1: there is none
  int cancel_fd = -1;        ///< readable: the same happens at once; -1: there is none
  /// Told of standard output and error as they come. What is returned is the end of it, 64 KiB at least.
  std::function<void(std::string_view)> on_output = {};
};

/// Returns the output; an exit status other than 0 is an error that carries its last
/// lines.
Result<std::string> run_program(const ProgramRequest& request);
inline Result<std::string> run_program(const std::vector<std::string>& argv,
                                       const std::vector<std::string>& added_environment = {}) {
  return run_program(ProgramRequest{.argv = argv, .added_environment = added_environment});
}

/// Whether there is something to read from a descriptor now; -1 never has.
bool is_readable(int fd);

}  // namespace driverext
