// Cancellation: the signals that end a program (INT, TERM, HUP, PIPE) as something to wait for, so that long work can
// be undone before the program ends.
#pragma once

#include <array>
#include <csignal>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

/// One at a time in a process. While it lives the signals do not end the program; afterwards they do what they did.
class Cancellation {
 public:
  static Result<Cancellation> catch_signals();
  Cancellation(Cancellation&& other) noexcept;
  Cancellation& operator=(Cancellation&&) = delete;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation();

  /// Readable once a signal has come.
  [[nodiscard]] int fd() const { return event_.get(); }
  [[nodiscard]] bool has_come() const;

 private:
  explicit Cancellation(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  bool caught_ = false;
  std::array<struct sigaction, 4> before_{};
};

}  // namespace driverext
