// Executing a plan: probe, apply, and undo in reverse if a step fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "provisioner/steps/step.hpp"

namespace driverext {

enum class StepOutcome { satisfied, done, failed, undone };
std::string_view step_outcome_name(StepOutcome outcome);

struct StepReport {
  StepKind kind = StepKind::import;
  StepOutcome outcome = StepOutcome::satisfied;
  std::string message;        ///< why it was planned, or the error
  uint64_t started_usec = 0;  ///< since the kernel started (CLOCK_MONOTONIC)
  uint64_t duration_usec = 0;
};

/// Told of each step, in order.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  virtual ~Progress() = default;
  virtual void step_begins(const PlannedStep& step) = 0;
  virtual void step_ended(const StepReport& report) = 0;
};

struct Execution {
  std::vector<StepReport> reports;
  std::optional<Error> failure;  ///< of the step that failed
  bool left_behind = false;      ///< and undoing did not get everything away
};

Execution execute(const Plan& plan, const StepContext& context, Progress& progress);

/// Microseconds of CLOCK_MONOTONIC.
uint64_t monotonic_usec();

}  // namespace driverext
