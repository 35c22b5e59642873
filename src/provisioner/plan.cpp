#include "provisioner/plan.hpp"

#include <algorithm>

namespace driverext {
namespace {

bool fits(const Facts& facts, const Config& config, const Manifest& manifest) {
  return manifest.driver == config.driver && manifest.kernel_release == facts.kernel_release &&
         manifest.architecture == facts.architecture;
}

bool better(const KnownImage& a, const KnownImage& b) {
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

Error nothing_fits(const Facts& facts, const Config& config, const Inventory& inventory) {
  std::vector<std::string> held;
  for (const KnownImage& known : inventory.images) {
    const Manifest& manifest = known.image.manifest();
    if (manifest.driver != config.driver) continue;
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
  const std::string running = "the running kernel is " + facts.kernel_release + " (" + facts.architecture + ")";
  if (held.empty()) {
    return make_error(Errc::not_found, Reason::no_image,
                      running + "; the store holds no image of driver " + config.driver);
  }
  std::string list;
  for (const std::string& entry : held) list += (list.empty() ? "" : ", ") + entry;
  return make_error(Errc::incompatible, Reason::no_image_for_kernel, running + "; the store holds: " + list);
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
    case StepKind::commit:
      return "commit";
  }
  return "?";
}

Plan make_plan(const Facts& facts, const Config& config, const Inventory& inventory) {
  Plan plan;
  plan.steps.push_back({StepKind::import, "files in the inbox go to the store, refused ones to quarantine"});
  for (size_t i = 0; i < inventory.images.size(); ++i) {
    const KnownImage& candidate = inventory.images[i];
    if (!fits(facts, config, candidate.image.manifest())) continue;
    if (!plan.image || better(candidate, inventory.images[*plan.image])) plan.image = i;
  }
  if (!plan.image) {
    plan.problem = nothing_fits(facts, config, inventory);
    return plan;
  }
  const Manifest& manifest = inventory.images[*plan.image].image.manifest();
  const std::string what = manifest.driver + " " + manifest.version;
  plan.steps.push_back({StepKind::verify, "the hash tree of " + what + " must lead to the signed root hash"});
  plan.steps.push_back({StepKind::attach, "the kernel reads the image through dm-verity only"});
  plan.steps.push_back({StepKind::load, what + " was built for the running kernel " + manifest.kernel_release});
  plan.steps.push_back({StepKind::devices, "the driver's device nodes show that it works"});
  plan.steps.push_back({StepKind::commit, "this image is remembered as good for this kernel"});
  return plan;
}

}  // namespace driverext
