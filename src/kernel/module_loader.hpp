// ModuleLoader: inserts modules from a process of its own, so that one whose init never ends can be given up.
//
// finit_module(2) returns when the module's init does. While init sleeps killably, ending the process ends it, and the
// kernel takes the module away; an init that cannot be killed stays, and this process goes on without it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

class ModuleLoader {
 public:
  ModuleLoader() = default;
  ModuleLoader(const ModuleLoader&) = delete;
  ModuleLoader& operator=(const ModuleLoader&) = delete;
  ~ModuleLoader();

  /// As ModuleInsertion, until `deadline_usec` of CLOCK_MONOTONIC. Errors: also Reason::load_timeout,
  /// Errc::transient if the module is gone, Errc::conflict if its init cannot be ended.
  Result<void> insert(const std::string& path, const std::string& parameters, uint64_t deadline_usec);

 private:
  Result<void> start();
  Result<void> give_up(const std::string& path);
  void stop();

  UniqueFd channel_;  // requests go out, errno numbers come back
  pid_t child_ = -1;
};

}  // namespace driverext
