// One provision: facts → plan → execute → commit, and what is told about it.
#pragma once

#include <string>

#include "crypto/trusted_clock.hpp"
#include "kernel/kernel.hpp"
#include "modules/host_modules.hpp"
#include "provisioner/status.hpp"
#include "sys/dir.hpp"
#include "sys/programs.hpp"

namespace driverext {

/// The outside world of a provision; tests bring their own.
struct Host {
  const Dir& root;
  Kernel& kernel;
  HostModules& host_modules;
  Programs& programs;
  int64_t now = 0;                        ///< seconds since 1970
  ClockState clock = ClockState::unsure;  ///< how far `now` may be believed
  int cancel_fd = -1;                     ///< readable: stop before the next step, and undo what was done
  /// When the boot goes on whatever happens: microseconds since the kernel started. Nothing is begun that cannot end
  /// before it. 0: the configuration's budget, from now on.
  uint64_t deadline_usec = 0;
};

/// Runs the pipeline. Never fails as such: every outcome is a Status. An image that fails is put aside, and the next
/// best one is used in the same run. Leaves or takes away the request to driverext-acquire.service.
Status provision(const Host& host, Progress& progress);

/// The plan for this host, one line a step, and what it would end in at best; changes nothing.
struct PlanText {
  std::string text;
  Reason outcome = Reason::provisioned;
};
Result<PlanText> describe_plan(const Host& host);

/// The boot service's entry, also `driverext provision`: options, lock, journal, sd_notify, status
/// file. Returns the exit code.
int provision_main(int argc, char** argv);

}  // namespace driverext
