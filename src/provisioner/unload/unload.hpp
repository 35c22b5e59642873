// Unload: the driver goes as it came, or nothing happens.
//
// Who holds it is looked for before anything is changed. What can be taken back is done first, and taken back if the
// modules do not all go; what is left then is of a driver that is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "host/holder_watch.hpp"
#include "provisioner/unload/survey.hpp"
#include "sys/fd.hpp"

namespace driverext {

struct UnloadRequest {
  UnloadHost host;
  std::string kernel_release;
  /// Taken once nobody holds the driver; until then provisions may run, and device nodes follow their devices. Null:
  /// the caller holds it.
  std::function<Result<UniqueFd>()> lock = {};
  /// Until when holders are waited for, CLOCK_MONOTONIC; 0: not at all.
  uint64_t wait_until_usec = 0;
  HolderWatch* watch = nullptr;  ///< to wait by; only if it is to be waited
  int cancel_fd = -1;            ///< readable: no longer wait, and no further step; what was done is taken back
  /// Told who is waited for, each time that they are others.
  std::function<void(const std::vector<std::string>& in_use)> on_wait = {};
};

struct UnloadReport {
  PlannedUnload step;
  enum class Outcome { done, failed, undone };
  Outcome outcome = Outcome::done;
  std::string message;  ///< the error, or what else is to be known
};
std::string_view unload_outcome_name(UnloadReport::Outcome outcome);

struct UnloadResult {
  enum class Outcome {
    unloaded,
    nothing_loaded,  ///< and nothing to take away
    in_use,          ///< nothing was changed
    failed,          ///< nothing was changed in the end, or the message says what
    left_over,       ///< the driver is unloaded, and something of it could not be taken away
  };
  Outcome outcome = Outcome::unloaded;
  UnloadFacts facts;  ///< as they were found
  UnloadPlan plan;
  std::vector<UnloadReport> reports;
  std::optional<Error> error;  ///< of in_use (Reason::driver_in_use) and failed
};
std::string_view unload_outcome_name(UnloadResult::Outcome outcome);

/// With kProvisionLock held, by the caller or as the request says. Writes status.json once the driver is gone. Errors:
/// what keeps the host from being looked at; all else is in the result.
Result<UnloadResult> unload_driver(const UnloadRequest& request);

/// The plan for this host; changes nothing.
Result<UnloadResult> describe_unload(const UnloadHost& host);

/// For scripts; version 1 of the format, members in a fixed order.
OrderedJson unload_to_json(const UnloadResult& result);

}  // namespace driverext
