#include "provisioner/provision.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "provisioner/config.hpp"
#include "provisioner/definition.hpp"
#include "provisioner/inventory.hpp"

namespace driverext {
namespace {

// Everything that is looked at before anything is done.
struct Survey {
  Facts facts;
  Config config;
  Definition definition;
  Inventory inventory;
  std::optional<Acquisition> acquisition;
};

// Fills in what is known even if a later question fails, so that the status can still name it.
Result<Survey> survey(const Host& host, Status& status) {
  Survey found;
  TRY(found.facts, read_facts(host.root));
  status.kernel_release = found.facts.kernel_release;
  TRY(found.config, read_config(host.root));
  status.driver = found.config.driver;
  TRY(found.definition, read_definition(host.root, found.config.driver));
  TRY(const Trust trust, load_trust(host.root));
  TRY(found.inventory, take_inventory(host.root, trust, host.now));
  for (const RejectedImage& rejected : found.inventory.rejected) {
    status.rejected.push_back({host.root.path_of(rejected.name),
                               std::string(reason_info(reason_of(rejected.error)).code), rejected.error.message(),
                               rejected.place == Place::quarantine});
  }
  found.acquisition = read_acquisition(host.root);
  return found;
}

// What the last boots left: an attempt that was never ended took the node down. And whoever puts an image into the
// inbox once more wants it to be tried once more.
State remembered(const StateFile& file, const Facts& facts, const Inventory& inventory) {
  State state = file.state();
  // Of this very boot it is only the service that went down: what it loaded is there to be found.
  if (state.attempt && state.attempt->boot_id == facts.boot_id) state.attempt.reset();
  if (state.attempt) {
    FailedImage& failed = state.failed[state.attempt->root_hash];
    failed.version = state.attempt->version;
    failed.reason = reason_info(Reason::load_interrupted).code;
    failed.message = "the node went down while it was being loaded";
    ++failed.interruptions;
    state.attempt.reset();
  }
  for (const KnownImage& known : inventory.images) {
    if (known.place == Place::inbox) state.failed.erase(known.image.root_hash_hex());
  }
  return state;
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
    case Reason::module_load_failed:
    case Reason::dependency_missing:
      return blame_of_errno(error.os_error);
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
    image->path = root.path_of(exists(known.name) ? known.name : store_name(known.image));
  };
  tell(status.image, plan.image);
  tell(status.userland, plan.userland);
}

// What the node holds beside the image that was chosen.
void tell_what_is_held(const Survey& found, const State& state, Status& status) {
  std::set<std::string> kernels;
  for (const KnownImage& known : found.inventory.images) {
    const Manifest& manifest = known.image.manifest();
    if (manifest.driver != found.config.driver || !manifest.is_loadable()) continue;
    if (!manifest.userland.empty() && !find_userland(found.facts, found.inventory, manifest)) continue;
    const auto failed = state.failed.find(known.image.root_hash_hex());
    if (failed == state.failed.end()) {
      kernels.insert(manifest.kernel_release);
    } else if (manifest.kernel_release == found.facts.kernel_release) {
      status.put_aside.push_back({manifest.version, failed->first, failed->second.reason, failed->second.message});
    }
  }
  status.kernels_ready.assign(kernels.begin(), kernels.end());
}

ImageStatus describe(const KnownImage& known) {
  return {known.image.manifest().version,
          known.image.root_hash_hex(),
          known.image.signer().subject,
          known.image.signer().fingerprint,
          {},  // its path is known once import has run
          std::string(origin_name(known.origin))};
}

class Provision {
 public:
  Provision(const Host& host, const Survey& found, Progress& progress, Status& status)
      : host_(host), found_(found), progress_(progress), status_(status), state_(StateFile::read(host.root)) {}

  void run() {
    // A state that cannot be written is told by the step that has to.
    (void)state_.write(remembered(state_, found_.facts, found_.inventory));
    Plan plan = next_plan();
    while (true) {
      const std::optional<Error> failure = try_plan(plan);
      if (!failure) break;
      Plan next = put_aside(plan, *failure) ? next_plan() : Plan();
      if (!next.image) {
        conclude(status_, *failure);
        break;
      }
      plan = std::move(next);
    }
    tell_where_files_are(host_.root, found_, plan, status_);
    tell_what_is_held(found_, state_.state(), status_);
    request_acquisition(plan);
  }

 private:
  Plan next_plan() {
    return make_plan(
        {found_.facts, found_.config, found_.definition, found_.inventory, state_.state(), tried_, found_.acquisition});
  }

  // The failure, if a step failed.
  std::optional<Error> try_plan(const Plan& plan) {
    StepContext context{host_.root,    host_.kernel,      host_.host_modules, host_.programs, found_.facts,
                        found_.config, found_.definition, found_.inventory,   state_};
    context.cancel_fd = host_.cancel_fd;
    status_.image.reset();
    status_.userland.reset();
    if (plan.image) {
      const KnownImage& known = found_.inventory.images[*plan.image];
      context.image = &known.image;
      status_.image = describe(known);
    }
    if (plan.userland) {
      const KnownImage& known = found_.inventory.images[*plan.userland];
      context.userland = &known.image;
      if (plan.userland != plan.image) status_.userland = describe(known);
    }
    Execution execution = execute(plan, context, progress_);
    status_.steps = std::move(execution.reports);
    left_behind_ = execution.left_behind;
    if (execution.failure) return std::move(execution.failure);
    if (plan.problem) {
      conclude(status_, *plan.problem);
    } else {
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
    const auto valid_from = static_cast<uint64_t>(std::max<int64_t>(known.image.signer().valid_from, 0));
    (void)remember_time(host_.root, host_.now, std::max(known.image.manifest().created, valid_from));
  }

  // True if another image may be tried.
  bool put_aside(const Plan& plan, const Error& failure) {
    const Blame blame = blame_for(failure);
    if (!plan.image || blame == Blame::host) return false;
    const VerifiedImage& image = found_.inventory.images[*plan.image].image;
    const std::string root_hash = image.root_hash_hex();
    const std::string code(reason_info(reason_of(failure)).code);
    tried_.insert(root_hash);
    if (blame == Blame::unclear) {
      status_.put_aside.push_back({image.manifest().version, root_hash, code, failure.message()});
      return !left_behind_;
    }
    State state = state_.state();
    FailedImage& failed = state.failed[root_hash];
    failed.version = image.manifest().version;
    failed.reason = code;
    failed.message = failure.message();
    (void)state_.write(std::move(state));
    return !left_behind_;
  }

  void request_acquisition(const Plan& plan) {
    // An image that failed is a reason to look for a newer one.
    const bool may_be_mended = plan.acquire || (!tried_.empty() && !found_.config.channel_url.empty());
    if (may_be_mended && status_.reason != Reason::provisioned) {
      (void)host_.root.write_if_changed(kAcquireWanted, "", 0644);
    } else {
      (void)host_.root.remove_file(kAcquireWanted);
    }
  }

  const Host& host_;
  const Survey& found_;
  Progress& progress_;
  Status& status_;
  StateFile state_;
  std::set<std::string> tried_;
  bool left_behind_ = false;
};

}  // namespace

Status provision(const Host& host, Progress& progress) {
  Status status;
  status.started_usec = monotonic_usec();
  const Result<Survey> found = survey(host, status);
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
  const State state = remembered(StateFile::read(host.root), found.facts, found.inventory);
  const Plan made = make_plan({found.facts, found.config, found.definition, found.inventory, state,
                               std::set<std::string>(), found.acquisition});
  PlanText plan;
  for (const PlannedStep& step : made.steps) plan.text += std::string(step_name(step.kind)) + ": " + step.why + "\n";
  if (made.problem) {
    plan.outcome = reason_of(*made.problem);
    plan.text += std::string(reason_info(plan.outcome).code) + ": " + made.problem->message() + "\n";
  }
  return plan;
}

}  // namespace driverext
