#include "provisioner/execute.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace driverext {
namespace {

std::unique_ptr<Step> make_step(StepKind kind, const StepContext& context) {
  switch (kind) {
    case StepKind::import:
      return make_import_step(context);
    case StepKind::verify:
      return make_verify_step(context);
    case StepKind::attach:
      return make_attach_step(context);
    case StepKind::evict:
      return make_evict_step(context);
    case StepKind::firmware:
      return make_firmware_step(context);
    case StepKind::load:
      return make_load_step(context);
    case StepKind::devices:
      return make_devices_step(context);
    case StepKind::root:
      return make_root_step(context);
    case StepKind::check:
      return make_check_step(context);
    case StepKind::toolkit:
      return make_toolkit_step(context);
    case StepKind::merge:
      return make_merge_step(context);
    case StepKind::contract:
      return make_contract_step(context);
    case StepKind::commit:
      return make_commit_step(context);
  }
  return nullptr;
}

Result<StepOutcome> run(Step& step, const StepContext& context) {
  if (is_readable(context.cancel_fd)) return make_error(Errc::transient, "the provision was told to stop");
  if (context.deadline_usec != 0 && monotonic_usec() >= context.deadline_usec) {
    return make_error(Errc::transient, Reason::budget_exceeded, "the boot has no more time for it");
  }
  const auto probe_and_apply = [&]() -> Result<StepOutcome> {
    TRY(const Probe found, step.probe());
    if (found == Probe::satisfied) return StepOutcome::satisfied;
    TRY_VOID(step.apply());
    return StepOutcome::done;
  };
  Result<StepOutcome> outcome = probe_and_apply();
  // systemd stops the programs that a step runs too: their end says nothing of the step.
  if (!outcome && outcome.error().code != Errc::untrusted && is_readable(context.cancel_fd)) {
    return make_error(Errc::transient, "the provision was told to stop");
  }
  return outcome;
}

// The driver found none of its devices: what earlier steps have to remark may be why.
void explain_missing_devices(Error& failure, const std::vector<std::unique_ptr<Step>>& steps) {
  if (failure.os_error != ENODEV) return;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    if (const std::string remark = steps[i]->remark(); !remark.empty()) failure.what += "; " + remark;
  }
}

}  // namespace

std::string_view step_outcome_name(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::satisfied:
      return "satisfied";
    case StepOutcome::done:
      return "done";
    case StepOutcome::failed:
      return "failed";
    case StepOutcome::undone:
      return "undone";
  }
  return "?";
}

uint64_t monotonic_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

unsigned StepContext::seconds_for(unsigned limit) const {
  if (deadline_usec == 0) return limit;
  const uint64_t now_usec = monotonic_usec();
  const uint64_t left = deadline_usec > now_usec ? (deadline_usec - now_usec) / 1'000'000 : 0;
  return static_cast<unsigned>(std::clamp<uint64_t>(left, 1, limit));
}

Execution execute(const Plan& plan, const StepContext& context, Progress& progress) {
  Execution execution;
  StepContext userland_context = context;
  userland_context.image = context.userland;
  std::vector<std::unique_ptr<Step>> steps;
  for (const PlannedStep& planned : plan.steps) {
    progress.step_begins(planned);
    steps.push_back(make_step(planned.kind, planned.subject == Subject::userland ? userland_context : context));
    StepReport report{planned.kind, StepOutcome::failed, planned.why, monotonic_usec(), 0};
    Result<StepOutcome> outcome = run(*steps.back(), context);
    report.duration_usec = monotonic_usec() - report.started_usec;
    if (outcome) {
      report.outcome = *outcome;
      if (const std::string remark = steps.back()->remark(); !remark.empty()) report.message += "; but " + remark;
    } else {
      explain_missing_devices(outcome.error(), steps);
      report.message = outcome.error().message();
      execution.failure = std::move(outcome).error();
    }
    progress.step_ended(report);
    execution.reports.push_back(std::move(report));
    if (execution.failure) break;
  }
  if (!execution.failure) return execution;

  for (size_t i = steps.size(); i-- > 0;) {
    StepReport& report = execution.reports[i];
    // What was so before stays so.
    if (report.outcome == StepOutcome::satisfied || steps[i]->stays_after_failure()) continue;
    const Result<void> undone = steps[i]->undo();
    if (!undone) {
      execution.left_behind = true;
      execution.failure->what +=
          "; and undoing " + std::string(step_name(report.kind)) + " failed (" + undone.error().message() + ")";
    } else if (report.outcome == StepOutcome::done) {
      report.outcome = StepOutcome::undone;
      progress.step_ended(report);
    }
  }
  return execution;
}

}  // namespace driverext
