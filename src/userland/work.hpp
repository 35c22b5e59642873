// What long work is given: how it is interrupted, and whom it tells how far it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

struct UserlandWork {
  int cancel_fd = -1;  ///< readable: stop, Errc::transient; -1: there is none
  /// `done` of `total` bytes of this stage.
  std::function<void(std::string_view stage, uint64_t done, uint64_t total)> progress = [](std::string_view, uint64_t,
                                                                                           uint64_t) {};
};

/// Tells of progress. Errors: Errc::transient if the work is to stop.
Result<void> go_on(const UserlandWork& work, std::string_view stage, uint64_t done, uint64_t total);

}  // namespace driverext
