#include "provisioner/plan.hpp"

#include <algorithm>

namespace driverext {
namespace {

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

std::string named(const ImageIdentity& image) {
  return image.driver + " " + image.version + (image.flavor.empty() ? "" : " (" + image.flavor + ")") + " for " +
         image.kernel_release + " (" + image.architecture + ")";
}

// "the store holds: A, B": loadable images of the driver.
std::string held_images(const PlanInput& input) {
  std::vector<std::string> held;
  for (const KnownImage& known : input.selection.inventory.images) {
    const ImageIdentity& image = known.identity();
    if (image.driver == input.selection.config.driver && image.is_loadable()) held.push_back(named(image));
  }
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());
  std::string list;
  for (const std::string& entry : held) list += (list.empty() ? "" : ", ") + entry;
  return list;
}

// An image for another kernel or machine is none for this one, whatever else would speak against it.
bool is_for_another_kernel(const PlanInput& input, const NearMiss& nearest) {
  if (nearest.finding.reason == Reason::wrong_architecture || nearest.finding.reason == Reason::kernel_mismatch) {
    return true;
  }
  const Requirement about = nearest.finding.requirement;
  return (about == Requirement::vermagic || about == Requirement::symbols) &&
         !is_exact(input.selection.facts, input.selection.inventory.images[nearest.image].identity());
}

Error nothing_fits(const PlanInput& input, const std::optional<NearMiss>& nearest) {
  const auto& [facts, config, definition, inventory, state, tried, has_firmware, in_use] = input.selection;
  if (const RejectedImage* rejected = loudest_rejected(inventory, !nearest)) {
    Error error = rejected->error;
    error.context.push_back("/" + rejected->name);
    return error;
  }
  const std::string running = "the running kernel is " + facts.kernel_release + " (" + facts.architecture + ")";
  if (!nearest) {
    return make_error(Errc::not_found, Reason::no_image,
                      running + "; the store holds no image of driver " + config.driver);
  }
  const ImageIdentity& image = inventory.images[nearest->image].identity();
  if (is_for_another_kernel(input, *nearest)) {
    const bool tells_more = nearest->finding.requirement >= Requirement::vermagic;
    return make_error(Errc::incompatible, Reason::no_image_for_kernel,
                      running + "; the store holds: " + held_images(input) +
                          (tells_more ? "; of " + named(image) + ": " + nearest->finding.sentence : ""));
  }
  const Errc code = nearest->finding.reason == Reason::userland_missing ? Errc::not_found : Errc::incompatible;
  return make_error(code, nearest->finding.reason, named(image) + ": " + nearest->finding.sentence);
}

// What another image of the driver would not mend.
bool is_the_hosts(Reason reason) {
  return reason == Reason::no_hardware || reason == Reason::no_space || reason == Reason::kernel_feature_missing ||
         reason == Reason::module_key_unknown || reason == Reason::dependency_missing;
}

// The rungs below the store. A file that is refused in inbox or store opens none of them: that is to be heard. What
// lies in quarantine was heard of, and is no reason to go without a driver for ever; it stays in the list of refused
// files.
void climb_down(const PlanInput& input, const std::optional<NearMiss>& nearest, Plan& plan) {
  const Reason reason = reason_of(*plan.problem);
  const Config& config = input.selection.config;
  const Facts& facts = input.selection.facts;
  // What was refused just now is to be heard.
  if (reason_info(reason).outcome == Outcome::untrusted && nearest) return;
  if (nearest && is_the_hosts(nearest->finding.reason)) return;
  // The channel may have a newer one by now.
  if (reason == Reason::put_aside) plan.acquire = !config.channel_url.empty();
  const std::vector<RejectedImage>& rejected = input.selection.inventory.rejected;
  const bool refused_now = std::any_of(rejected.begin(), rejected.end(),
                                       [](const RejectedImage& file) { return file.place != Place::quarantine; });
  const bool half = reason == Reason::userland_missing;
  if (refused_now || reason == Reason::put_aside) return;
  // Modules are here: building them once more would not bring the userland.
  const bool can_build = !half && find_build_input(input.selection).has_value();
  const std::string what = config.driver + " for " + facts.kernel_release;
  plan.acquire = can_build || !config.channel_url.empty();
  if (!plan.acquire) {
    const bool only_absent = reason == Reason::no_image || reason == Reason::no_image_for_kernel;
    if (only_absent && lacks_builder(input.selection)) {
      plan.problem = make_error(Errc::not_found, Reason::builder_missing,
                                "the source of " + what + " is here, but no builder image has headers of this kernel");
    }
    return;
  }
  const std::optional<Acquisition>& acquisition = input.acquisition;
  const bool is_told = acquisition && acquisition->kernel_release == facts.kernel_release &&
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

// Why this image, on this rung.
std::string why_load(const PlanInput& input, const Plan& plan, const ImageIdentity& image) {
  const std::string what = image.driver + " " + image.version;
  const std::string& running = input.selection.facts.kernel_release;
  const FailedImage* failed = input.selection.state.of(running).failure_of(image.root_hash);
  std::string why = what + " was built for the running kernel " + running;
  if (!is_exact(input.selection.facts, image)) {
    why = what + " was built for " + image.kernel_release + ", and " + running + " takes its modules";
  }
  if (plan.rung == Rung::previous) why += "; it was good here before, and what is newer or asked for is not usable";
  if (failed != nullptr) why += "; it failed before (" + failed->reason + "), and there is no other";
  return why;
}

void add_steps(const PlanInput& input, Plan& plan) {
  const ImageIdentity& image = input.selection.inventory.images[*plan.image].identity();
  const Definition& definition = input.selection.definition;
  const std::string what = image.driver + " " + image.version;
  const auto add = [&](StepKind kind, std::string why, Subject subject = Subject::image) {
    plan.steps.push_back({kind, std::move(why), subject});
  };
  add(StepKind::verify, "the hash tree of " + what + " must lead to the signed root hash");
  add(StepKind::attach, "the kernel reads the image through dm-verity only");
  if (plan.userland && plan.userland != plan.image) {
    add(StepKind::verify, "so must that of its userland " + image.userland, Subject::userland);
    add(StepKind::attach, "its libraries are read in the same way", Subject::userland);
  }
  if (!definition.host_modules.conflicts.empty() || !definition.hardware.empty()) {
    add(StepKind::evict, "no other driver may have the devices");
  }
  const bool has_root = plan.userland && definition.root;
  if (definition.firmware == FirmwareFrom::image || (definition.firmware == FirmwareFrom::driver_root && has_root)) {
    add(StepKind::firmware, "the kernel finds the driver's firmware");
  }
  add(StepKind::load, why_load(input, plan, image));
  add(StepKind::devices, "the driver's device nodes show that it works");
  if (has_root) add(StepKind::root, "the driver's libraries and devices at /" + definition.root->path);
  if (!definition.check.builtin.empty() || (has_root && !definition.check.command.empty())) {
    add(StepKind::check, "what shows that the driver works");
  }
  if (has_root && definition.toolkit) add(StepKind::toolkit, "container engines are told where the driver is");
  if (plan.userland && input.selection.config.merge) add(StepKind::merge, "its programs are wanted on the host's PATH");
  if (has_root && input.selection.config.contract && !definition.root->contract.empty()) {
    add(StepKind::contract, "the vendor's own tools look for these files");
  }
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
    case StepKind::evict:
      return "evict";
    case StepKind::firmware:
      return "firmware";
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
    case StepKind::contract:
      return "contract";
    case StepKind::commit:
      return "commit";
  }
  return "?";
}

std::optional<BuildInput> find_build_input(const SelectionInput& input) {
  if (!input.config.build) return std::nullopt;
  const std::vector<KnownImage>& images = input.inventory.images;
  std::optional<size_t> source;
  std::optional<size_t> builder;
  const auto take = [&](std::optional<size_t>& best, size_t i) {
    if (!best || is_newer(images[i], images[*best])) best = i;
  };
  for (size_t i = 0; i < images.size(); ++i) {
    const ImageIdentity& image = images[i].identity();
    if (image.architecture != input.facts.architecture) continue;
    const bool is_source = image.kind == Kind::source && image.driver == input.config.driver;
    if (is_source && is_wanted(input, image)) take(source, i);
    const auto& kernels = image.kernels;
    const bool has_headers = std::find(kernels.begin(), kernels.end(), input.facts.kernel_release) != kernels.end();
    if (image.kind == Kind::builder && has_headers) take(builder, i);
  }
  if (!source || !builder) return std::nullopt;
  return BuildInput{*source, *builder};
}

bool lacks_builder(const SelectionInput& input) {
  const std::vector<KnownImage>& images = input.inventory.images;
  const bool has_source = std::any_of(images.begin(), images.end(), [&](const KnownImage& known) {
    const ImageIdentity& image = known.identity();
    return image.kind == Kind::source && image.driver == input.config.driver && is_wanted(input, image);
  });
  return input.config.build && has_source && !find_build_input(input);
}

Plan make_plan(const PlanInput& input) {
  Plan plan;
  plan.steps.push_back({StepKind::import, "files in the inbox go to the store, refused ones to quarantine"});
  const Choice choice = choose_image(input.selection);
  if (!choice.image) {
    plan.problem = nothing_fits(input, choice.nearest);
    climb_down(input, choice.nearest, plan);
    return plan;
  }
  plan.image = choice.image;
  plan.rung = choice.rung;
  const ImageIdentity& image = input.selection.inventory.images[*plan.image].identity();
  plan.userland =
      image.has_userland() ? plan.image : find_userland(input.selection.facts, input.selection.inventory, image);
  add_steps(input, plan);
  // It will do for now; the channel may have one that did not fail, for this very kernel, of the version asked for.
  plan.acquire = !input.selection.config.channel_url.empty() && !has_what_is_asked_for(input.selection);
  return plan;
}

}  // namespace driverext
