// What the kernel writes to its log while something is tried.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sys/fd.hpp"

namespace driverext {

class KernelLog {
 public:
  /// Whatever is logged from now on. A log that may not be read stays empty.
  static KernelLog from_now();
  /// Whatever this descriptor gives, a record each time it is read, as /dev/kmsg does; it does not wait.
  explicit KernelLog(UniqueFd fd) : fd_(std::move(fd)) {}

  /// The lines since then, without their prefixes; of more than some hundred the newest. Does not wait.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  UniqueFd fd_;
};

/// The text of one record of /dev/kmsg: "6,339,5140900,-;nvidia: loading", with continuation lines of its own. Source:
/// Documentation/ABI/testing/dev-kmsg. Empty if it is none.
std::string kernel_log_text(std::string_view record);

}  // namespace driverext
