// FileWatch: waiting until something changes in a folder.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "sys/fd.hpp"

namespace driverext {

enum class Waited {
  changed,  ///< a name came, went or got other permissions, in one of the folders
  timed_out,
  cancelled,
};

class FileWatch {
 public:
  static Result<FileWatch> make();

  /// From now on. A folder that is not there is none to wait for. To be called before what is waited for is looked at,
  /// so that nothing that comes between is missed.
  Result<void> add(const Dir& root, const std::string& folder);
  /// Until then (CLOCK_MONOTONIC, microseconds), or until `cancel_fd` is readable; -1: none.
  Result<Waited> wait(uint64_t deadline_usec, int cancel_fd);

 private:
  explicit FileWatch(UniqueFd events) : events_(std::move(events)) {}
  UniqueFd events_;
};

}  // namespace driverext
