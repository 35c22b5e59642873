// Progress of long work, on a terminal: stage, percent, rate. In a pipe or a log there is nothing of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace driverext::cli {

class TerminalProgress {
 public:
  /// Writes to standard error, if that is a terminal.
  TerminalProgress();
  TerminalProgress(const TerminalProgress&) = delete;
  TerminalProgress& operator=(const TerminalProgress&) = delete;
  ~TerminalProgress();

  /// `done` of `total` bytes; a total of 0: how much there is to do is not known.
  void show(std::string_view stage, uint64_t done, uint64_t total);

  /// Leaves the terminal with an empty line to write on.
  void end();

 private:
  bool is_terminal_;
  std::string stage_;
  uint64_t stage_began_usec_ = 0;
  uint64_t shown_usec_ = 0;
};

}  // namespace driverext::cli
