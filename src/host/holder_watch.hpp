// Waiting until holders let go of a device: the end of a process, and the last close of what it has open, are both told
// by the kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "host/holders.hpp"
#include "sys/dir.hpp"

namespace driverext {

class HolderWatch {
 public:
  enum class Waited { changed, out_of_time, cancelled };

  HolderWatch() = default;
  HolderWatch(const HolderWatch&) = delete;
  HolderWatch& operator=(const HolderWatch&) = delete;
  virtual ~HolderWatch() = default;

  /// True if there is anybody new among them: then they are to be looked for once more before waiting, as they may have
  /// let go before they were watched.
  virtual bool add(const std::vector<ProcessHolder>& holders) = 0;
  /// Until one of those that were added has ended or closed something, or CLOCK_MONOTONIC is at `deadline_usec`.
  /// `cancel_fd`: readable, it returns at once; -1: there is none.
  virtual Waited wait(uint64_t deadline_usec, int cancel_fd) = 0;
};

/// Errors: those of inotify_init1(2).
Result<std::unique_ptr<HolderWatch>> make_holder_watch(const Dir& root);

}  // namespace driverext
