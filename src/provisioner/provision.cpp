#include "provisioner/provision.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "provisioner/attached_images.hpp"
#include "provisioner/survey.hpp"

namespace driverext {
namespace {

// Fills in what is known even if a later question fails, so that the status can still name it.
Result<Survey> survey(const Host& host, Status& status) {
  Survey found;
  Result<void> taken = take_survey({.root = host.root, .kernel = &host.kernel, .now = host.now}, found);
  status.kernel_release = found.facts.kernel_release;
  status.driver = found.config.driver;
  if (!taken) return std::move(taken).error();
  for (const RejectedImage& rejected : found.inventory.rejected) {
    status.rejected.push_back({host.root.path_of(rejected.name),
                               std::string(reason_info(reason_of(rejected.error)).code), rejected.error.message(),
                               rejected.place == Place::quarantine});
  }
  return found;
}

// Whose fault a failure is. What is untrusted is nobody's of these: it is told, not passed over.
enum class Blame {
  host,     ///< no image would do better
  unclear,  ///< hardware that is not there, a key that is not enrolled: another image may do better, but this one is
            ///< fine
  image,    ///< it is put aside
};

Blame blame_of_errno(int os_error) {
  switch (os_error) {
    case ENOMEM:
    case EPERM:
    case EAGAIN:
    case EINTR:
      return Blame::host;
    case ENODEV:
    case ENOKEY:
    case EKEYREJECTED:
      return Blame::unclear;
    default:
      return Blame::image;
  }
}

Blame blame_for(const Error& error) {
  switch (reason_of(error)) {
    case Reason::load_timeout:
      return Blame::image;
    case Reason::module_load_failed:
      // Incompatible: what the host tells it to be can be the cause.
      return error.code == Errc::incompatible ? Blame::unclear : blame_of_errno(error.os_error);
    case Reason::dependency_missing:
      // Not there, or of another kernel; whatever else keeps one of the host's own modules out is no image's fault.
      return error.code == Errc::not_found || error.os_error == ENOEXEC ? Blame::image : Blame::host;
    case Reason::device_missing:
      return error.code == Errc::incompatible ? Blame::unclear : Blame::image;
    case Reason::check_failed:
      return Blame::image;
    default:
      return Blame::host;
  }
}

void conclude(Status& status, const Error& error) {
  status.reason = reason_of(error);
  status.message = error.message();
}

// Import has moved files, or could not: told of is where they are now.
void tell_where_files_are(const Dir& root, const Survey& found, const Plan& plan, Status& status) {
  const auto exists = [&](const std::string& name) {
    const Result<std::optional<struct stat>> there = root.status(name);
    return there && *there;
  };
  for (size_t i = 0; i < found.inventory.rejected.size(); ++i) {
    const RejectedImage& rejected = found.inventory.rejected[i];
    if (rejected.place == Place::inbox && !exists(rejected.name)) status.rejected[i].quarantined = true;
  }
  const auto tell = [&](std::optional<ImageStatus>& image, std::optional<size_t> index) {
    if (!image || !index) return;
    const KnownImage& known = found.inventory.images[*index];
    // Still where it was found, if it could not be moved.
    image->path = root.path_of(exists(known.name) ? known.name : store_name(known.identity()));
  };
  tell(status.image, plan.image);
  tell(status.userland, plan.userland);
}

// What the node holds beside the image that was chosen.
void tell_what_is_held(const Survey& found, const State& state, Status& status) {
  std::set<std::string> kernels;
  const KernelMemory& memory = state.of(found.facts.kernel_release);
  for (const KnownImage& known : found.inventory.images) {
    const ImageIdentity& image = known.identity();
    if (image.driver != found.config.driver || !image.is_loadable()) continue;
    if (!image.userland.empty() && !find_userland(found.facts, found.inventory, image)) continue;
    const FailedImage* failed = memory.failure_of(image.root_hash);
    if (failed != nullptr) {
      status.put_aside.push_back({image.version, image.root_hash, failed->reason, failed->message});
    }
    if (!state.of(image.kernel_release).is_doubtful(image.root_hash)) kernels.insert(image.kernel_release);
  }
  status.kernels_ready.assign(kernels.begin(), kernels.end());
}

ImageStatus describe(const KnownImage& known) {
  const ImageIdentity& image = known.identity();
  return {image.version,
          image.root_hash,
          image.signer,
          image.signer_fingerprint,
          {},  // its path is known once import has run
          std::string(origin_name(known.origin))};
}

class Provision {
 public:
  Provision(const Host& host, Survey& found, Progress& progress, Status& status)
      : host_(host), found_(found), progress_(progress), status_(status), state_(StateFile::read(host.root)) {
    deadline_usec_ = host.deadline_usec != 0 ? host.deadline_usec
                                             : status.started_usec + uint64_t{found.config.budget.boot_sec} * 1'000'000;
  }

  void run() {
    // A state that cannot be written is told by the step that has to.
    (void)state_.write(found_.state);
    Plan plan = next_plan();
    while (true) {
      const std::optional<Error> failure = try_plan(plan);
      if (!failure) break;
      Plan next = put_aside(plan, *failure) && monotonic_usec() < deadline_usec_ ? next_plan() : Plan();
      if (!next.image) {
        conclude(status_, *failure);
        break;
      }
      plan = std::move(next);
    }
    tell_where_files_are(host_.root, found_, plan, status_);
    tell_what_is_held(found_, state_.state(), status_);
    request_acquisition(plan);
    remember_what_was_verified(plan);
  }

 private:
  Plan next_plan() { return make_plan({found_.selection(state_.state(), tried_), found_.acquisition}); }

  // So that the next run of this boot need not verify again. Not written, it only takes longer.
  void remember_what_was_verified(const Plan& plan) {
    remember_verified(host_.root, found_.inventory, host_.now, found_.verified);
    found_.verified.write(host_.root);
    for (const std::optional<size_t>& index : {plan.image, plan.userland}) {
      if (!index || !found_.verified.is_kept()) continue;
      const KnownImage& known = found_.inventory.images[*index];
      const Result<std::string> text = known.manifest_text();
      if (!text || !known.is_open()) continue;
      (void)host_.root.write_if_changed(std::string(kManifestTexts) + "/" + known.identity().root_hash, *text, 0600);
    }
  }

  // An image that is not known to be good leaves time for another one.
  [[nodiscard]] uint64_t deadline_for(const Plan& plan) const {
    const uint64_t now = monotonic_usec();
    if (!plan.image || now >= deadline_usec_) return deadline_usec_;
    const SelectionInput input = found_.selection(state_.state(), tried_);
    const bool is_tried_out = !was_taken_before(input, found_.inventory.images[*plan.image].identity());
    const bool has_another = is_tried_out && ranked_candidates(input).size() > 1;
    return has_another ? now + (deadline_usec_ - now) * 2 / 3 : deadline_usec_;
  }

  // The failure, if a step failed.
  std::optional<Error> try_plan(const Plan& plan) {
    StepContext context{host_.root,    host_.kernel,      host_.host_modules, host_.programs, found_.facts,
                        found_.config, found_.definition, found_.inventory,   state_};
    context.cancel_fd = host_.cancel_fd;
    context.now = host_.now;
    context.deadline_usec = deadline_for(plan);
    has_less_time_ = context.deadline_usec < deadline_usec_;
    host_.kernel.limit_loading(context.deadline_usec);
    status_.image.reset();
    status_.userland.reset();
    if (plan.image) {
      const KnownImage& known = found_.inventory.images[*plan.image];
      context.image = &known;
      status_.image = describe(known);
      status_.rung = rung_name(plan.rung);
    }
    if (plan.userland) {
      const KnownImage& known = found_.inventory.images[*plan.userland];
      context.userland = &known;
      if (plan.userland != plan.image) status_.userland = describe(known);
    }
    Execution execution = execute(plan, context, progress_);
    status_.steps = std::move(execution.reports);
    left_behind_ = execution.left_behind;
    if (execution.failure) return std::move(execution.failure);
    if (plan.problem) {
      conclude(status_, *plan.problem);
    } else {
      release_other_images(context);
      remember_time_of(found_.inventory.images[*plan.image]);
      (void)remember_synchronised(host_.root, host_.now, host_.clock);
      status_.reason = Reason::provisioned;
      status_.message = found_.config.driver + " " + status_.image->version + " for " + found_.facts.kernel_release;
    }
    return std::nullopt;
  }

  // What the node built is dated by the clock that this is to check. Not remembered is only less strict.
  void remember_time_of(const KnownImage& known) {
    if (known.origin == Origin::built) return;
    const auto valid_from = static_cast<uint64_t>(std::max<int64_t>(known.identity().signer_valid_from, 0));
    (void)remember_time(host_.root, host_.now, std::max(known.identity().created, valid_from));
  }

  // True if another image may be tried.
  bool put_aside(const Plan& plan, const Error& failure) {
    // It had less time than the boot, so that there is some for another one.
    const bool took_too_long = has_less_time_ && reason_of(failure) == Reason::budget_exceeded;
    const Blame blame = took_too_long ? Blame::image : blame_for(failure);
    if (!plan.image || blame == Blame::host) return false;
    const ImageIdentity& image = found_.inventory.images[*plan.image].identity();
    const std::string code(reason_info(reason_of(failure)).code);
    tried_.insert(image.root_hash);
    // The next one may be one that nobody knows yet.
    if (!std::exchange(found_.facts_are_whole, true)) {
      if (Result<Facts> facts = read_facts(host_.root, FactsRequest::everything())) found_.facts = *std::move(facts);
    }
    // What has worked on this very kernel fails for another reason than what is in it, unless it hangs the node.
    const bool worked_before =
        reason_of(failure) != Reason::load_timeout && was_taken_before(found_.selection(state_.state(), tried_), image);
    if (blame == Blame::unclear || worked_before) {
      status_.put_aside.push_back({image.version, image.root_hash, code, failure.message()});
      return !left_behind_;
    }
    State state = state_.state();
    state.kernels[found_.facts.kernel_release].remember_failure(image.root_hash, image.version, code, failure.message(),
                                                                host_.now);
    (void)state_.write(std::move(state));
    return !left_behind_;
  }

  void request_acquisition(const Plan& plan) {
    // An image that failed is a reason to look for a newer one.
    const bool failed_now = !tried_.empty() && status_.reason != Reason::provisioned;
    if (plan.acquire || (failed_now && !found_.config.channel_url.empty())) {
      (void)host_.root.write_if_changed(kAcquireWanted, "", 0644);
    } else {
      (void)host_.root.remove_file(kAcquireWanted);
    }
  }

  const Host& host_;
  Survey& found_;
  Progress& progress_;
  Status& status_;
  StateFile state_;
  std::set<std::string> tried_;
  uint64_t deadline_usec_ = 0;
  bool has_less_time_ = false;  // the image that is tried, than there is
  bool left_behind_ = false;
};

}  // namespace

Status provision(const Host& host, Progress& progress) {
  Status status;
  status.started_usec = monotonic_usec();
  Result<Survey> found = survey(host, status);
  if (found) {
    Provision(host, *found, progress, status).run();
  } else {
    conclude(status, found.error());
    (void)host.root.remove_file(kAcquireWanted);
  }
  status.duration_usec = monotonic_usec() - status.started_usec;
  return status;
}

Result<PlanText> describe_plan(const Host& host) {
  Status status;
  TRY(const Survey found, survey(host, status));
  const std::set<std::string> none;
  const Plan made = make_plan({found.selection(found.state, none), found.acquisition});
  PlanText plan;
  for (const PlannedStep& step : made.steps) plan.text += std::string(step_name(step.kind)) + ": " + step.why + "\n";
  if (made.problem) {
    plan.outcome = reason_of(*made.problem);
    plan.text += std::string(reason_info(plan.outcome).code) + ": " + made.problem->message() + "\n";
  }
  return plan;
}

}  // namespace driverext
