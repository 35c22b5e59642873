#include "provisioner/plan.hpp"

#include <algorithm>

namespace driverext {
namespace {

// Modules whose userland is not here are half a driver.
bool is_half(const PlanInput& input, const Manifest& manifest) {
  return !manifest.userland.empty() && !find_userland(input.facts, input.inventory, manifest);
}

// What was put aside after it failed; nothing if it never did.
const FailedImage* failure_of(const State& state, const KnownImage& known) {
  const auto failed = state.failed.find(known.image.root_hash_hex());
  return failed == state.failed.end() ? nullptr : &failed->second;
}

bool better(const KnownImage& a, const KnownImage& b) {
  // What a publisher made comes before what the node had to make itself: their times cannot be compared.
  if ((a.origin == Origin::built) != (b.origin == Origin::built)) return b.origin == Origin::built;
  const Manifest& left = a.image.manifest();
  const Manifest& right = b.image.manifest();
  if (left.created != right.created) return left.created > right.created;
  if (a.image.root_hash() != b.image.root_hash()) return a.image.root_hash() < b.image.root_hash();
  return a.whole && !b.whole;  // copies of one image: the one that is known to be undamaged
}

// A file refused in inbox or store, else one in quarantine if nothing good ever came after it: what lies there must not
// cover up, for years, that an image for a new kernel is missing.
const RejectedImage* loudest_rejected(const Inventory& inventory, bool nothing_held) {
  const RejectedImage* quarantined = nullptr;
  for (const RejectedImage& rejected : inventory.rejected) {
    if (rejected.place != Place::quarantine) return &rejected;
    quarantined = &rejected;
  }
  return nothing_held ? quarantined : nullptr;
}

Error put_aside(const Manifest& manifest, const FailedImage& failed) {
  return make_error(Errc::incompatible, Reason::put_aside,
                    manifest.driver + " " + manifest.version + " took the node down " +
                        std::to_string(failed.interruptions) + " times while it was loaded (" + failed.message + ")");
}

Error userland_missing(const Manifest& modules) {
  return make_error(Errc::not_found, Reason::userland_missing,
                    "the modules of " + modules.driver + " " + modules.version + " for " + modules.kernel_release +
                        " are here, but not the userland image " + modules.userland + " that belongs to them");
}

Error nothing_fits(const PlanInput& input) {
  const auto& [facts, config, definition, inventory, state, tried, acquisition] = input;
  std::vector<std::string> held;
  std::optional<Error> half;
  for (const KnownImage& known : inventory.images) {
    const Manifest& manifest = known.image.manifest();
    if (manifest.driver != config.driver || !manifest.is_loadable()) continue;
    const FailedImage* failed = failure_of(state, known);
    if (fits(facts, config, manifest)) {
      if (failed != nullptr) return put_aside(manifest, *failed);
      if (is_half(input, manifest)) half = userland_missing(manifest);
    }
    held.push_back(manifest.driver + " " + manifest.version + " for " + manifest.kernel_release + " (" +
                   manifest.architecture + ")");
  }
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());
  if (const RejectedImage* rejected = loudest_rejected(inventory, held.empty())) {
    Error error = rejected->error;
    error.context.push_back("/" + rejected->name);
    return error;
  }
  if (half) return *std::move(half);
  const std::string running = "the running kernel is " + facts.kernel_release + " (" + facts.architecture + ")";
  if (held.empty()) {
    return make_error(Errc::not_found, Reason::no_image,
                      running + "; the store holds no image of driver " + config.driver);
  }
  std::string list;
  for (const std::string& entry : held) list += (list.empty() ? "" : ", ") + entry;
  return make_error(Errc::incompatible, Reason::no_image_for_kernel, running + "; the store holds: " + list);
}

// The rungs below the store. A file that is refused in inbox or store opens none of them: that is to be heard. What
// lies in quarantine was heard of, and is no reason to go without a driver for ever; it stays in the list of refused
// files.
void climb_down(const PlanInput& input, Plan& plan) {
  const Reason reason = reason_of(*plan.problem);
  const Config& config = input.config;
  // The channel may have a newer one by now.
  if (reason == Reason::put_aside) plan.acquire = !config.channel_url.empty();
  const std::vector<RejectedImage>& rejected = input.inventory.rejected;
  const bool refused_now = std::any_of(rejected.begin(), rejected.end(),
                                       [](const RejectedImage& file) { return file.place != Place::quarantine; });
  const bool half = reason == Reason::userland_missing;
  const bool only_absent = half || reason == Reason::no_image || reason == Reason::no_image_for_kernel;
  if (refused_now || (!only_absent && rejected.empty()) || reason == Reason::put_aside) return;
  // Modules are here: building them once more would not bring the userland.
  const bool can_build = !half && find_build_input(input.facts, config, input.inventory).has_value();
  const std::string what = config.driver + " for " + input.facts.kernel_release;
  plan.acquire = can_build || !config.channel_url.empty();
  if (!plan.acquire) {
    if (only_absent && !half && lacks_builder(input.facts, config, input.inventory)) {
      plan.problem = make_error(Errc::not_found, Reason::builder_missing,
                                "the source of " + what + " is here, but no builder image has headers of this kernel");
    }
    return;
  }
  const std::optional<Acquisition>& acquisition = input.acquisition;
  const bool is_told = acquisition && acquisition->kernel_release == input.facts.kernel_release &&
                       (acquisition->failed() || acquisition->in_progress());
  if (is_told) {
    plan.problem = make_error(acquisition->failed() ? Errc::not_found : Errc::transient, acquisition->reason,
                              acquisition->message);
  } else if (!config.channel_url.empty()) {
    plan.problem = make_error(Errc::transient, Reason::fetching, "an image of " + what + " is being fetched");
  } else {
    plan.problem = make_error(Errc::transient, Reason::building, what + " is being built on this node");
  }
}

void add_steps(const PlanInput& input, Plan& plan) {
  const KnownImage& chosen = input.inventory.images[*plan.image];
  const Manifest& manifest = chosen.image.manifest();
  const Definition& definition = input.definition;
  const std::string what = manifest.driver + " " + manifest.version;
  const auto add = [&](StepKind kind, std::string why, Subject subject = Subject::image) {
    plan.steps.push_back({kind, std::move(why), subject});
  };
  const FailedImage* failed = failure_of(input.state, chosen);
  add(StepKind::verify, "the hash tree of " + what + " must lead to the signed root hash");
  add(StepKind::attach, "the kernel reads the image through dm-verity only");
  if (plan.userland && plan.userland != plan.image) {
    add(StepKind::verify, "so must that of its userland " + manifest.userland, Subject::userland);
    add(StepKind::attach, "its libraries are read in the same way", Subject::userland);
  }
  add(StepKind::load,
      what + " was built for the running kernel " + manifest.kernel_release +
          (failed == nullptr ? "" : "; it failed before (" + failed->reason + "), and there is no other"));
  add(StepKind::devices, "the driver's device nodes show that it works");
  if (plan.userland && definition.root) {
    add(StepKind::root, "the driver's libraries and devices at /" + definition.root->path);
    if (!definition.check.empty()) add(StepKind::check, "the driver's own check, inside its root");
    if (definition.toolkit) add(StepKind::toolkit, "container engines are told where the driver is");
  }
  if (plan.userland && input.config.merge) add(StepKind::merge, "its programs are wanted on the host's PATH");
  add(StepKind::commit, "this image is remembered as good for this kernel");
}

}  // namespace

std::string_view step_name(StepKind kind) {
  switch (kind) {
    case StepKind::import:
      return "import";
    case StepKind::verify:
      return "verify";
    case StepKind::attach:
      return "attach";
    case StepKind::load:
      return "load";
    case StepKind::devices:
      return "devices";
    case StepKind::root:
      return "root";
    case StepKind::check:
      return "check";
    case StepKind::toolkit:
      return "toolkit";
    case StepKind::merge:
      return "merge";
    case StepKind::commit:
      return "commit";
  }
  return "?";
}

std::optional<BuildInput> find_build_input(const Facts& facts, const Config& config, const Inventory& inventory) {
  if (!config.build) return std::nullopt;
  std::optional<size_t> source;
  std::optional<size_t> builder;
  const auto take = [&](std::optional<size_t>& best, size_t i) {
    if (!best || better(inventory.images[i], inventory.images[*best])) best = i;
  };
  for (size_t i = 0; i < inventory.images.size(); ++i) {
    const Manifest& manifest = inventory.images[i].image.manifest();
    if (manifest.architecture != facts.architecture) continue;
    if (manifest.kind == Kind::source && manifest.driver == config.driver) take(source, i);
    const auto& kernels = manifest.kernels;
    const bool has_headers = std::find(kernels.begin(), kernels.end(), facts.kernel_release) != kernels.end();
    if (manifest.kind == Kind::builder && has_headers) take(builder, i);
  }
  if (!source || !builder) return std::nullopt;
  return BuildInput{*source, *builder};
}

bool lacks_builder(const Facts& facts, const Config& config, const Inventory& inventory) {
  const bool has_source = std::any_of(inventory.images.begin(), inventory.images.end(), [&](const KnownImage& known) {
    const Manifest& manifest = known.image.manifest();
    return manifest.kind == Kind::source && manifest.driver == config.driver;
  });
  return config.build && has_source && !find_build_input(facts, config, inventory);
}

bool fits(const Facts& facts, const Config& config, const Manifest& manifest) {
  return manifest.is_loadable() && manifest.driver == config.driver &&
         manifest.kernel_release == facts.kernel_release && manifest.architecture == facts.architecture;
}

std::optional<size_t> find_userland(const Facts& facts, const Inventory& inventory, const Manifest& modules) {
  const auto is_for_this_os = [&](const KnownImage& known) {
    const Manifest& manifest = known.image.manifest();
    return manifest.os_id == kAnyOs || (manifest.os_id == facts.os_id && manifest.os_version_id == facts.os_version_id);
  };
  const auto comes_before = [&](const KnownImage& a, const KnownImage& b) {
    return is_for_this_os(a) != is_for_this_os(b) ? is_for_this_os(a) : better(a, b);
  };
  std::optional<size_t> found;
  for (size_t i = 0; i < inventory.images.size(); ++i) {
    const Manifest& manifest = inventory.images[i].image.manifest();
    const bool belongs = manifest.kind == Kind::userland && manifest.driver == modules.driver &&
                         manifest.version == modules.userland && manifest.architecture == modules.architecture;
    if (belongs && (!found || comes_before(inventory.images[i], inventory.images[*found]))) found = i;
  }
  return found;
}

Plan make_plan(const PlanInput& input) {
  Plan plan;
  plan.steps.push_back({StepKind::import, "files in the inbox go to the store, refused ones to quarantine"});
  const std::vector<KnownImage>& images = input.inventory.images;
  const auto is_known_good = [&](const KnownImage& known) {
    const auto good = input.state.good.find(input.facts.kernel_release);
    return good != input.state.good.end() && good->second.root_hash == known.image.root_hash_hex();
  };
  const auto comes_before = [&](const KnownImage& a, const KnownImage& b) {
    const bool a_failed = failure_of(input.state, a) != nullptr;
    const bool b_failed = failure_of(input.state, b) != nullptr;
    if (a_failed != b_failed) return b_failed;
    // After a failure no further experiment, if there is one that is known to be good.
    if (!input.tried.empty() && is_known_good(a) != is_known_good(b)) return is_known_good(a);
    return better(a, b);
  };
  for (size_t i = 0; i < images.size(); ++i) {
    const Manifest& manifest = images[i].image.manifest();
    if (!fits(input.facts, input.config, manifest) || is_half(input, manifest)) continue;
    if (input.tried.contains(images[i].image.root_hash_hex())) continue;
    const FailedImage* failed = failure_of(input.state, images[i]);
    if (failed != nullptr && failed->interruptions >= kMaxInterruptions) continue;
    if (!plan.image || comes_before(images[i], images[*plan.image])) plan.image = i;
  }
  if (plan.image) {
    const Manifest& manifest = images[*plan.image].image.manifest();
    plan.userland = manifest.has_userland() ? plan.image : find_userland(input.facts, input.inventory, manifest);
    add_steps(input, plan);
    plan.acquire = !input.config.channel_url.empty() && failure_of(input.state, images[*plan.image]) != nullptr;
  } else {
    plan.problem = nothing_fits(input);
    climb_down(input, plan);
  }
  return plan;
}

}  // namespace driverext
