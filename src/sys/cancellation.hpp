// Cancellation: the signals that end a program (INT, TERM, HUP, PIPE) as something to wait for, so that long work can
// be undone before the program ends.
#pragma once

#include <array>
#include <csignal>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

/// While it lives the signals do not end the program; afterwards they do what they did. One that is made while another
/// lives goes before it, and both tell of the same signals, so that what is asked for in the middle of long work stops,
/// and then the work as well. Made and ended by one thread.
class Cancellation {
 public:
  static Result<Cancellation> catch_signals();
  Cancellation(Cancellation&& other) noexcept;
  Cancellation& operator=(Cancellation&&) = delete;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation();

  /// Readable once a signal has come, and from then on.
  [[nodiscard]] int fd() const { return event_.get(); }
  [[nodiscard]] bool has_come() const;

 private:
  explicit Cancellation(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  bool caught_ = false;
  std::array<struct sigaction, 4> before_{};
};

}  // namespace driverext
