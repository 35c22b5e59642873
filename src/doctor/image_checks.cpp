// Images on the node: one for each kernel that may run, and none that is stuck.
#include <algorithm>

#include "base/text.hpp"
#include "base/version.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

// Why nothing can be said of the node's images; else nothing.
std::optional<Diagnosis> without_images(const DoctorInput& input) {
  if (!input.config) return not_applicable("no driver is configured");
  if (!input.inventory_error.empty()) return unknown(input.inventory_error);
  return std::nullopt;
}

bool is_in_store(const DoctorInput& input, const std::string& root_hash) {
  return std::any_of(input.images.begin(), input.images.end(), [&](const NodeImage& image) {
    return image.place == Place::store && image.root_hash == root_hash;
  });
}

bool can_build(const DoctorInput& input) {
  return input.config->build && std::any_of(input.images.begin(), input.images.end(), [&](const NodeImage& image) {
           return image.manifest.kind == Kind::source && image.manifest.driver == input.config->driver;
         });
}

// The host's own folder of a kernel: what an extension adds to a release makes no kernel of it.
bool is_kernel(const Dir& root, const std::string& release) {
  const std::string folder = "usr/lib/modules/" + release;
  return is_there(root, folder + "/kernel") || is_there(root, folder + "/vmlinuz");
}

}  // namespace

Result<Diagnosis> image_for_kernel(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (auto nothing = without_images(input)) return *std::move(nothing);
  const std::string& release = input.facts->kernel_release;
  if (!images_for(input, release).empty()) return fine("the store has an image for " + release);
  if (is_provisioned(input)) return fine("an image of another kernel release is in use");
  return problem("the store has no image of " + input.config->driver + " for " + release);
}

Result<Diagnosis> image_for_coming_kernel(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (auto nothing = without_images(input)) return *std::move(nothing);
  TRY(const std::vector<std::string> releases, input.root.list("usr/lib/modules"));
  std::vector<std::string> without;
  for (const std::string& release : releases) {
    const auto order = compare_versions(release, input.facts->kernel_release);
    if (!order || *order <= 0 || !is_kernel(input.root, release)) continue;
    if (images_for(input, release).empty())
      without.push_back("kernel " + release + " is installed, with no image for it");
  }
  if (!without.empty() && can_build(input)) return fine(listed(without) + "; it can be built here");
  return problem_if_any(without, "no newer kernel is installed that lacks an image");
}

Result<Diagnosis> userland_for_modules(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (auto nothing = without_images(input)) return *std::move(nothing);
  std::vector<std::string> without;
  bool any_whole = false;
  for (const NodeImage* image : images_for(input, input.facts->kernel_release)) {
    const std::string& wanted = image->manifest.userland;
    const bool there =
        wanted.empty() || std::any_of(input.images.begin(), input.images.end(), [&](const NodeImage& other) {
          return other.manifest.kind == Kind::userland && other.manifest.version == wanted &&
                 other.manifest.driver == image->manifest.driver;
        });
    any_whole = any_whole || there;
    if (!there) without.push_back(image->name + " needs userland " + wanted);
  }
  // An older image that lacks its other half holds nothing up as long as one is whole.
  if (any_whole || without.empty()) return fine("the modules for this kernel have their userland");
  return problem(listed(without) + ", which is not here");
}

Result<Diagnosis> refused_images(const DoctorInput& input) {
  if (auto nothing = without_images(input)) return *std::move(nothing);
  std::vector<std::string> refused;
  for (const RefusedFile& file : input.refused) refused.push_back("/" + file.name + ": " + file.message);
  return problem_if_any(refused, "no image is refused");
}

Result<Diagnosis> waiting_images(const DoctorInput& input) {
  if (auto nothing = without_images(input)) return *std::move(nothing);
  std::vector<std::string> waiting;
  for (const NodeImage& image : input.images) {
    if (image.place != Place::store) waiting.push_back("/" + image.name + " is good, and not in the store yet");
  }
  return problem_if_any(waiting, "no image waits to be imported");
}

// What failed and is not here any more is history.
Result<Diagnosis> images_put_aside(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (auto nothing = without_images(input)) return *std::move(nothing);
  std::vector<std::string> aside;
  for (const auto& [root_hash, failed] : input.state.of(input.facts->kernel_release).failed) {
    if (!failed.is_put_aside() || !is_in_store(input, root_hash)) continue;
    aside.push_back("version " + failed.version + " (" + failed.reason + "): " + failed.message);
  }
  return problem_if_any(aside, "no image for this kernel is put aside");
}

Result<Diagnosis> interrupted_load(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  const auto& attempt = input.state.of(input.facts->kernel_release).attempt;
  if (!attempt || input.facts->boot_id.empty() || attempt->boot_id == input.facts->boot_id) {
    return fine("no boot ended while the driver was being loaded");
  }
  return problem("a boot ended while version " + attempt->version + " was being loaded");
}

}  // namespace driverext::checks
