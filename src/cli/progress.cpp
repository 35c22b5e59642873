#include "cli/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.hpp"
#include "provisioner/execute.hpp"

namespace driverext::cli {
namespace {

// Often enough for an eye, seldom enough for a serial console.
constexpr uint64_t kBetweenUsec = 100'000;
// A rate over less time than this is noise.
constexpr uint64_t kSteadyUsec = 300'000;

size_t columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

TerminalProgress::TerminalProgress() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

TerminalProgress::~TerminalProgress() { end(); }

void TerminalProgress::end() {
  if (!stage_.empty()) std::fputs("\r\033[K", stderr);
  stage_.end();
}

void TerminalProgress::show(std::string_view stage, uint64_t done, uint64_t total) {
  if (!is_terminal_) return;
  const uint64_t now = monotonic_usec();
  if (stage != stage_) {
    end();
    stage_ = stage;
    stage_began_usec_ = now;
  } else if (now - shown_usec_ < kBetweenUsec && done < total) {
    return;
  }
  shown_usec_ = now;
  std::string line = stage_;
  if (total != 0) line += ": " + std::to_string(done * 100 / total) + " %";
  const uint64_t took = now - stage_began_usec_;
  if (done != 0 && took >= kSteadyUsec) line += ", " + human_size(done * 1'000'000 / took) + "/s";
  // A stage can hold what a compiler or an archive says. Cut, because only one row can be written over again.
  line = printable(line);
  size_t end = std::min(line.size(), columns() - 1);
  while (end < line.size() && end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0U) == 0x80U) --end;
  line.resize(end);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
}

}  // namespace driverext::cli
