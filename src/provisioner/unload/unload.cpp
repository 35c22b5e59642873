#include "provisioner/unload/unload.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "modules/modprobe_config.hpp"
#include "provisioner/execute.hpp"
#include "provisioner/status.hpp"
#include "provisioner/stopped_daemons.hpp"
#include "provisioner/unload/release.hpp"

namespace driverext {
namespace {

constexpr unsigned kModprobeSec = 60;
constexpr unsigned kStartSec = 60;
constexpr uint64_t kLookAgainUsec = 500'000;
constexpr uint64_t kLookForOthersUsec = 5'000'000;
constexpr uint64_t kLetGoUsec = 2'000'000;
constexpr uint64_t kLookBehindUsec = 100'000;

Error in_use_error(const UnloadFacts& facts) {
  return make_error(Errc::conflict, Reason::driver_in_use, facts.driver + " is in use");
}

class Unload {
 public:
  Unload(const UnloadRequest& request, UnloadResult& result) : request_(request), result_(result) {}

  Result<void> run() {
    while (true) {
      TRY_VOID(wait_until_free());
      if (!result_.plan.in_use.empty()) {
        refuse(UnloadResult::Outcome::in_use, in_use_error(result_.facts));
        result_.error->what += "; nothing was changed";
        return {};
      }
      if (result_.plan.steps.empty()) {
        result_.outcome = UnloadResult::Outcome::nothing_loaded;
        return {};
      }
      Result<void> unloaded = take_modules_away();
      if (unloaded) break;
      const bool is_whole = take_back(unloaded.error());
      const bool is_held = is_whole && unloaded.error().reason == Reason::driver_in_use;
      if (!is_held || monotonic_usec() >= request_.wait_until_usec) {
        refuse(is_held ? UnloadResult::Outcome::in_use : UnloadResult::Outcome::failed, std::move(unloaded).error());
        return {};
      }
      // Somebody came in between: that one is waited for too.
      result_.reports.clear();
      lock_.reset();
      TRY_VOID(pause_for(kLookAgainUsec));
    }
    // Whatever of it fails, the rest is still to be done.
    bool nodes_are_left = false;
    for (const PlannedUnload& step : result_.plan.steps) {
      // By it the next unload knows whose they are.
      const bool is_needed = step.kind == UnloadStepKind::stop_watching && nodes_are_left;
      if (can_be_taken_back(step.kind) || is_needed) continue;
      const Result<std::string> released = release(request_.host, result_.facts, step);
      if (!released) result_.outcome = UnloadResult::Outcome::left_over;
      nodes_are_left = nodes_are_left || (!released && step.kind == UnloadStepKind::remove_node);
      report(step, released ? UnloadReport::Outcome::done : UnloadReport::Outcome::failed,
             released ? *released : released.error().message());
    }
    if (Result<void> noted = note_stopped_daemons(); !noted) {
      refuse(UnloadResult::Outcome::left_over, std::move(noted).error());
    }
    if (Result<void> told = tell_status(); !told) refuse(UnloadResult::Outcome::left_over, std::move(told).error());
    return {};
  }

 private:
  void refuse(UnloadResult::Outcome outcome, Error error) {
    result_.outcome = outcome;
    result_.error = std::move(error);
  }

  void report(const PlannedUnload& step, UnloadReport::Outcome outcome, std::string message = {}) {
    result_.reports.push_back({step, outcome, std::move(message)});
  }

  Result<void> look() {
    TRY(result_.facts, survey_unload(request_.host));
    result_.plan = plan_unload(result_.facts);
    return {};
  }

  // Returns with the lock, and with what was found while it was held.
  Result<void> wait_until_free() {
    TRY_VOID(look());
    std::vector<std::string> told;
    while (true) {
      if (result_.plan.in_use.empty()) {
        if (!request_.lock || lock_) return {};
        TRY(lock_, request_.lock());
        TRY_VOID(look());
        continue;
      }
      if (request_.watch == nullptr || monotonic_usec() >= request_.wait_until_usec) return {};
      lock_.reset();
      if (told != result_.plan.in_use && request_.on_wait) request_.on_wait(result_.plan.in_use);
      told = result_.plan.in_use;
      if (!request_.watch->add(result_.facts.holders.processes)) {
        // The kernel tells nobody when a module's use count changes: a device that is closed is in use until its driver
        // has let go of it. Nor that a process has opened another device. For these it is looked at from time to time.
        const uint64_t look_again = result_.facts.holders.processes.empty() ? kLookAgainUsec : kLookForOthersUsec;
        const uint64_t until = std::min(request_.wait_until_usec, monotonic_usec() + look_again);
        const HolderWatch::Waited waited = request_.watch->wait(until, request_.cancel_fd);
        if (waited == HolderWatch::Waited::cancelled) return told_to_stop();
      }
      TRY_VOID(look());
    }
  }

  static Error told_to_stop() { return make_error(Errc::transient, "it was told to stop"); }

  Result<void> pause_for(uint64_t usec) const {
    pollfd cancelled{request_.cancel_fd, POLLIN, 0};
    if (::poll(&cancelled, 1, static_cast<int>(usec / 1000)) > 0) return told_to_stop();
    return {};
  }

  Result<void> take_modules_away() {
    bool has_stopped = false;
    // Of the plan as it was: looking again makes another one.
    const UnloadFacts facts = result_.facts;
    const UnloadPlan plan = result_.plan;
    for (const PlannedUnload& step : plan.steps) {
      if (!can_be_taken_back(step.kind)) break;
      if (has_stopped && step.kind != UnloadStepKind::stop_daemon) {
        has_stopped = false;
        TRY_VOID(look_behind_daemons(facts));
      }
      if (is_readable(request_.cancel_fd)) return told_to_stop();
      has_stopped = step.kind == UnloadStepKind::stop_daemon;
      // One that does not end in time may still do so later: it is started again too.
      if (has_stopped) done_.push_back(step);
      Result<void> done = apply(facts, step);
      report(step, done ? UnloadReport::Outcome::done : UnloadReport::Outcome::failed,
             done ? std::string() : done.error().message());
      if (!done) return done;
      if (!has_stopped) done_.push_back(step);
    }
    return {};
  }

  // Who else holds it is seen once its own daemons are gone. A driver takes a moment to let go of what they had open,
  // and who is to be waited for is waited for without them: they are not started and stopped again all the while.
  Result<void> look_behind_daemons(const UnloadFacts& before) {
    const uint64_t until = std::max(request_.wait_until_usec, monotonic_usec() + kLetGoUsec);
    while (true) {
      TRY(const UnloadFacts now, survey_unload(request_.host));
      UnloadPlan plan = plan_unload(now);
      if (plan.in_use.empty()) return {};
      if (monotonic_usec() >= until) {
        result_.plan.in_use = std::move(plan.in_use);
        result_.facts.holders = now.holders;
        return in_use_error(before);
      }
      TRY_VOID(pause_for(kLookBehindUsec));
    }
  }

  Result<void> apply(const UnloadFacts& facts, const PlannedUnload& step) {
    switch (step.kind) {
      case UnloadStepKind::stop_daemon: {
        TRY(const std::string words, request_.host.programs.run({.argv = {"systemctl", "stop", step.subject},
                                                                 .timeout_sec = facts.daemons[step.index].stop_sec,
                                                                 .cancel_fd = request_.cancel_fd}));
        (void)words;
        return {};
      }
      case UnloadStepKind::remove_contract:
        return request_.host.root.remove_file(facts.contract_files[step.index].name);
      case UnloadStepKind::forget_modprobe:
        return request_.host.root.remove_file(kOwnModprobeFile);
      default:
        break;
    }
    Result<void> unloaded = request_.host.kernel.unload_module(step.subject);
    const bool is_busy = !unloaded && (unloaded.error().os_error == EBUSY || unloaded.error().os_error == EAGAIN);
    if (is_busy) {
      return make_error(Errc::conflict, Reason::driver_in_use,
                        "somebody began to use module " + step.subject + " meanwhile");
    }
    return unloaded;
  }

  // Last first. What cannot be taken back is told beside what made it necessary. True if all of it could.
  bool take_back(Error& why) {
    bool is_whole = true;
    bool has_loaded = false;
    const auto tell = [&](const std::string& what) {
      is_whole = false;
      why.what += "; and " + what;
    };
    for (; !done_.empty(); done_.pop_back()) {
      const PlannedUnload& step = done_.back();
      const Result<void> undone = undo(step);
      has_loaded = has_loaded || step.kind == UnloadStepKind::remove_module;
      if (!undone) tell(step.subject + " is not back (" + undone.error().message() + ")");
      for (UnloadReport& report : result_.reports) {
        const bool is_it = report.step.kind == step.kind && report.step.subject == step.subject;
        if (is_it && undone && report.outcome == UnloadReport::Outcome::done) {
          report.outcome = UnloadReport::Outcome::undone;
        }
      }
    }
    if (has_loaded) {
      if (const Result<void> mended = mend_nodes(); !mended) tell(mended.error().message());
    }
    if (is_whole) why.what += "; nothing was changed";
    return is_whole;
  }

  Result<void> undo(const PlannedUnload& step) {
    const auto run = [&](std::vector<std::string> argv, unsigned seconds) -> Result<void> {
      TRY(const std::string words, request_.host.programs.run({.argv = std::move(argv), .timeout_sec = seconds}));
      (void)words;
      return {};
    };
    const UnloadFacts& facts = result_.facts;
    if (step.kind == UnloadStepKind::stop_daemon) return run({"systemctl", "start", step.subject}, kStartSec);
    if (step.kind == UnloadStepKind::remove_contract) {
      const ContractFile& file = facts.contract_files[step.index];
      return request_.host.root.write_atomic(file.name, file.text, 0644);
    }
    if (step.kind == UnloadStepKind::forget_modprobe) {
      return request_.host.root.write_atomic(kOwnModprobeFile, facts.modprobe_file.value_or(""), 0644);
    }
    const UnloadModule& module = facts.modules[step.index];
    // modprobe knows the file of a module that is not ours, and what its administrator wants of it.
    if (module.path.empty()) return run({"modprobe", module.use.name}, kModprobeSec);
    Result<void> loaded = request_.host.kernel.load_module(module.path, module.parameters);
    if (!loaded && loaded.error().os_error == EEXIST) return {};  // udev was quicker
    return loaded;
  }

  // A module can get another number than it had before.
  Result<void> mend_nodes() {
    TRY(const auto reported, read_reported_nodes(request_.host.root, request_.host.definition));
    for (const ReportedNode& node : reported) {
      const std::string path = request_.host.root.path_of(node.path);
      TRY(const auto found, request_.host.kernel.find_node(path));
      if (!node.may_make || !found || found == node.node) continue;
      TRY_VOID(request_.host.kernel.make_node(path, node.node));
      TRY_VOID(request_.host.root.make_link(char_link_target(node.path), char_link_name(node.node)));
    }
    return {};
  }

  // A provision that brings the driver back starts them again.
  Result<void> note_stopped_daemons() {
    std::vector<std::string> units;
    for (const RunningDaemon& daemon : result_.facts.daemons) units.push_back(daemon.unit);
    return remember_stopped_daemons(request_.host.root, units);
  }

  Result<void> tell_status() {
    Status status;
    status.reason = Reason::unloaded;
    status.driver = result_.facts.driver;
    status.kernel_release = request_.kernel_release;
    status.message = result_.facts.driver +
                     (result_.facts.version.empty() ? std::string() : " " + result_.facts.version) +
                     " was unloaded by driverext unload";
    status.started_usec = monotonic_usec();
    return write_status(request_.host.root, status);
  }

  const UnloadRequest& request_;
  UnloadResult& result_;
  std::optional<UniqueFd> lock_;
  std::vector<PlannedUnload> done_;
};

}  // namespace

std::string_view unload_outcome_name(UnloadReport::Outcome outcome) {
  switch (outcome) {
    case UnloadReport::Outcome::done:
      return "done";
    case UnloadReport::Outcome::failed:
      return "failed";
    case UnloadReport::Outcome::undone:
      return "undone";
  }
  return "?";
}

std::string_view unload_outcome_name(UnloadResult::Outcome outcome) {
  switch (outcome) {
    case UnloadResult::Outcome::unloaded:
      return "unloaded";
    case UnloadResult::Outcome::nothing_loaded:
      return "nothing-loaded";
    case UnloadResult::Outcome::in_use:
      return "in-use";
    case UnloadResult::Outcome::failed:
      return "failed";
    case UnloadResult::Outcome::left_over:
      return "left-over";
  }
  return "?";
}

Result<UnloadResult> unload_driver(const UnloadRequest& request) {
  UnloadResult result;
  TRY_VOID(Unload(request, result).run());
  return result;
}

Result<UnloadResult> describe_unload(const UnloadHost& host) {
  UnloadResult result;
  TRY(result.facts, survey_unload(host));
  result.plan = plan_unload(result.facts);
  if (!result.plan.in_use.empty()) {
    result.outcome = UnloadResult::Outcome::in_use;
    result.error = in_use_error(result.facts);
  } else if (result.plan.steps.empty()) {
    result.outcome = UnloadResult::Outcome::nothing_loaded;
  }
  return result;
}

OrderedJson unload_to_json(const UnloadResult& result) {
  OrderedJson object = {{"format", 1},
                        {"outcome", unload_outcome_name(result.outcome)},
                        {"driver", result.facts.driver},
                        {"version", result.facts.version}};
  if (result.error) object["message"] = result.error->message();
  object["processes"] = OrderedJson::array();
  for (const ProcessHolder& holder : result.facts.holders.processes) {
    object["processes"].push_back({{"pid", holder.pid},
                                   {"name", holder.name},
                                   {"unit", holder.group.unit},
                                   {"container", holder.group.container},
                                   {"engine", holder.group.engine},
                                   {"pod", holder.group.pod},
                                   {"devices", holder.devices}});
  }
  object["allProcessesSeen"] = result.facts.holders.all_seen;
  object["modules"] = OrderedJson::array();
  for (const UnloadModule& module : result.facts.modules) {
    object["modules"].push_back({{"name", module.use.name},
                                 {"ofDriver", module.whose == UnloadModule::Whose::driver},
                                 {"references", module.use.references},
                                 {"usedBy", module.use.used_by}});
  }
  object["inTheWay"] = result.plan.in_use;
  object["plan"] = OrderedJson::array();
  for (const PlannedUnload& step : result.plan.steps) {
    object["plan"].push_back({{"step", unload_step_name(step.kind)}, {"subject", step.subject}, {"why", step.why}});
  }
  object["steps"] = OrderedJson::array();
  for (const UnloadReport& report : result.reports) {
    object["steps"].push_back({{"step", unload_step_name(report.step.kind)},
                               {"subject", report.step.subject},
                               {"result", unload_outcome_name(report.outcome)},
                               {"message", report.message}});
  }
  object["stays"] = result.facts.stays;
  return object;
}

}  // namespace driverext
