#include "provisioner/prune.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "base/version.hpp"
#include "host/firmware.hpp"
#include "provisioner/plan.hpp"
#include "provisioner/steps/step.hpp"
#include "provisioner/verified_cache.hpp"

namespace driverext {
namespace {

constexpr std::string_view kHostModules = "usr/lib/modules";
constexpr const char* kOriginNote = "origin";

// So many kernels beside the running one count as those that ran last: an OS that keeps two versions of itself goes
// back to the other one. When a kernel ran last is not known, only since when its images are good.
constexpr size_t kPreviousKernels = 2;
// The last good image, and the one to go back to.
constexpr size_t kKeptGood = 2;

std::vector<std::string> last_kernels(const State& state, const std::string& running_release) {
  std::vector<std::pair<int64_t, std::string>> good_since;
  for (const auto& [release, memory] : state.kernels) {
    if (memory.good.empty() || release == running_release) continue;
    int64_t newest = 0;
    for (const GoodImage& good : memory.good) newest = std::max(newest, good.time);
    good_since.emplace_back(newest, release);
  }
  std::sort(good_since.begin(), good_since.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : order_of_versions(a.second, b.second) > 0;
  });
  std::vector<std::string> releases;
  for (size_t i = 0; i < std::min(good_since.size(), kPreviousKernels); ++i) releases.push_back(good_since[i].second);
  return releases;
}

// What can change without another image: a missing image or file is put there, a device plugged in, a key enrolled.
bool can_be_mended(Requirement requirement) {
  switch (requirement) {
    case Requirement::dependencies:
    case Requirement::module_signature:
    case Requirement::hardware:
    case Requirement::userland:
    case Requirement::firmware:
    case Requirement::space:
    case Requirement::kernel_features:
      return true;
    default:
      return false;
  }
}

class Pruner {
 public:
  explicit Pruner(const PruneInput& input) : input_(input), images_(input.inventory.images) {}

  PrunePlan plan() {
    for (size_t i = 0; i < images_.size(); ++i) keep_in_use(i);
    for (const KeptKernel& kernel : input_.kernels) {
      keep_good(kernel);
      keep_fitting(kernel);
      keep_build_input(kernel);
    }
    keep_newest_source();
    // Last: which userlands are needed shows once all others are known.
    for (const KeptKernel& kernel : input_.kernels) keep_userlands(kernel);
    for (size_t i = 0; i < images_.size(); ++i) {
      if (images_[i].place == Place::store && !plan_.kept.contains(i)) plan_.removed.emplace(i, why_not(i));
    }
    return std::move(plan_);
  }

 private:
  // Copies of one image are kept together: which of them is used is not decided here.
  void keep(size_t index, const std::string& why) {
    for (size_t i = 0; i < images_.size(); ++i) {
      if (images_[i].identity().root_hash == images_[index].identity().root_hash) plan_.kept.emplace(i, why);
    }
  }

  [[nodiscard]] SelectionInput selection(const KeptKernel& kernel) const {
    return {kernel.facts, input_.config,  input_.definition,   input_.inventory,
            input_.state, nothing_tried_, kernel.has_firmware, nothing_runs_};
  }

  void keep_in_use(size_t i) {
    const std::string& root_hash = images_[i].identity().root_hash;
    if (input_.attached.contains(root_hash)) keep(i, "attached now");
    if (!input_.running.empty() && root_hash == input_.running) keep(i, "its modules run now");
    const std::optional<Pin>& pin = input_.state.pin;
    if (pin && !pin->root_hash.empty() && root_hash == pin->root_hash) keep(i, "pinned");
  }

  void keep_good(const KeptKernel& kernel) {
    const KernelMemory& memory = input_.state.of(kernel.facts.kernel_release);
    for (size_t n = 0; n < std::min(memory.good.size(), kKeptGood); ++n) {
      for (size_t i = 0; i < images_.size(); ++i) {
        if (images_[i].identity().root_hash != memory.good[n].root_hash) continue;
        keep(i, (n == 0 ? "last good on " : "good before on ") + kernel.facts.kernel_release);
      }
    }
  }

  // The first so many versions that selection would choose one after the other, and as many that it would choose if
  // what they lack were there.
  void keep_fitting(const KeptKernel& kernel) {
    const SelectionInput input = selection(kernel);
    std::set<std::string> versions;
    for (const size_t i : ranked_candidates(input)) {
      if (versions.size() >= input_.versions) break;
      const std::string& version = images_[i].identity().version;
      if (versions.contains(version)) continue;
      const Result<std::vector<Finding>> findings = judge(input, images_[i]);
      if (!findings || first_unmet(*findings) != nullptr) continue;
      versions.insert(version);
      keep(i, "fits " + kernel.facts.kernel_release);
    }
    keep_nearly_fitting(input);
  }

  void keep_nearly_fitting(const SelectionInput& input) {
    std::vector<size_t> built_for;
    for (size_t i = 0; i < images_.size(); ++i) {
      const ImageIdentity& image = images_[i].identity();
      const bool is_candidate = image.driver == input.config.driver && image.is_loadable();
      if (is_candidate && is_exact(input.facts, image)) built_for.push_back(i);
    }
    std::sort(built_for.begin(), built_for.end(), [&](size_t a, size_t b) { return is_newer(images_[a], images_[b]); });
    std::set<std::string> versions;
    for (const size_t i : built_for) {
      if (versions.size() >= input_.versions) break;
      const std::string& version = images_[i].identity().version;
      if (versions.contains(version)) continue;
      const Result<std::vector<Finding>> findings = judge(input, images_[i]);
      // What cannot be read now may be read another time.
      const Finding* unmet = findings ? first_unmet(*findings) : nullptr;
      if (findings && unmet == nullptr) continue;  // it was counted among those that fit
      const bool only_lacks = !findings || std::all_of(findings->begin(), findings->end(), [](const Finding& finding) {
        return finding.verdict != Verdict::unmet || can_be_mended(finding.requirement);
      });
      if (!only_lacks) continue;
      versions.insert(version);
      keep(i, "for " + input.facts.kernel_release +
                  ", once this is mended: " + (unmet != nullptr ? unmet->sentence : findings.error().message()));
    }
  }

  void keep_build_input(const KeptKernel& kernel) {
    const std::string& release = kernel.facts.kernel_release;
    std::optional<size_t> builder;
    for (size_t i = 0; i < images_.size(); ++i) {
      const ImageIdentity& image = images_[i].identity();
      if (image.kind != Kind::builder || image.architecture != kernel.facts.architecture) continue;
      if (std::find(image.kernels.begin(), image.kernels.end(), release) == image.kernels.end()) continue;
      if (!builder || is_newer(images_[i], images_[*builder])) builder = i;
    }
    if (builder) keep(*builder, "builds for " + release);
    if (const auto input = find_build_input(selection(kernel))) keep(input->source, "is built from for " + release);
  }

  void keep_newest_source() {
    std::optional<size_t> newest;
    for (size_t i = 0; i < images_.size(); ++i) {
      const ImageIdentity& image = images_[i].identity();
      if (image.kind != Kind::source || image.driver != input_.config.driver) continue;
      if (!newest || is_newer(images_[i], images_[*newest])) newest = i;
    }
    if (newest) keep(*newest, "newest source");
  }

  void keep_userlands(const KeptKernel& kernel) {
    const std::map<size_t, std::string> others = plan_.kept;
    for (const auto& [i, why] : others) {
      const ImageIdentity& image = images_[i].identity();
      ImageIdentity modules = image;
      // What is built gets the user part of its version, if there is one.
      if (image.kind == Kind::source) modules.userland = image.version;
      if (modules.userland.empty() || image.kind == Kind::userland) continue;
      if (const auto userland = find_userland(kernel.facts, input_.inventory, modules)) {
        keep(*userland, std::string("belongs to the kept ") + (image.kind == Kind::source ? "source " : "modules ") +
                            image.version);
      }
    }
  }

  [[nodiscard]] std::string why_not(size_t i) const {
    const ImageIdentity& image = images_[i].identity();
    if (image.kind == Kind::builder) return "no kept kernel is built for with it";
    if (image.driver != input_.config.driver) return "this node's driver is " + input_.config.driver;
    if (image.kind == Kind::source) return "a newer source is here";
    if (image.kind == Kind::userland) return "no kept modules belong to it";
    std::string why = "kernel " + image.kernel_release + " is none that this node keeps";
    for (const KeptKernel& kernel : input_.kernels) {
      if (!is_exact(kernel.facts, image)) continue;
      const Result<std::vector<Finding>> findings = judge(selection(kernel), images_[i]);
      const Finding* unmet = findings ? first_unmet(*findings) : nullptr;
      why = unmet != nullptr ? unmet->sentence : "better ones for " + image.kernel_release + " are here";
    }
    return why;
  }

  const PruneInput& input_;
  const std::vector<KnownImage>& images_;
  const std::set<std::string> nothing_tried_;
  const std::string nothing_runs_;
  PrunePlan plan_;
};

// "var/lib/driverext/store/FOLDER/FILE" → FOLDER and FILE.
std::pair<std::string, std::string> place_in_store(const std::string& name) {
  const std::string inside = name.substr(std::min(name.size(), kStore.size() + 1));
  const size_t slash = inside.find('/');
  if (slash == std::string::npos) return {};
  return {inside.substr(0, slash), inside.substr(slash + 1)};
}

}  // namespace

std::map<std::string, std::string> kernels_to_keep(const Inventory& inventory, const State& state,
                                                   const std::string& running_release,
                                                   const std::vector<std::string>& on_host) {
  std::map<std::string, std::string> kept = {{running_release, "it runs"}};
  for (const std::string& release : on_host) kept.emplace(release, "the host has its modules");
  for (const std::string& release : last_kernels(state, running_release)) kept.emplace(release, "it ran here");
  const auto keep_if_newer = [&](const std::string& release) {
    if (!release.empty() && order_of_versions(release, running_release) > 0) kept.emplace(release, "it is to come");
  };
  for (const KnownImage& known : inventory.images) {
    keep_if_newer(known.identity().kernel_release);
    for (const std::string& release : known.identity().kernels) keep_if_newer(release);
  }
  return kept;
}

PrunePlan plan_prune(const PruneInput& input) { return Pruner(input).plan(); }

State forget_what_is_gone(const PruneInput& input, const std::map<size_t, std::string>& removed) {
  std::set<std::string> images;
  std::set<std::string> kernels;
  for (size_t i = 0; i < input.inventory.images.size(); ++i) {
    if (removed.contains(i)) continue;
    images.insert(input.inventory.images[i].identity().root_hash);
    kernels.insert(input.inventory.images[i].identity().kernel_release);
  }
  std::set<std::string> kept;
  for (const KeptKernel& kernel : input.kernels) kept.insert(kernel.facts.kernel_release);
  State state = input.state;
  std::erase_if(state.kernels,
                [&](const auto& entry) { return !kept.contains(entry.first) && !kernels.contains(entry.first); });
  // Fetched anew, it would only fail anew.
  const bool may_come_again = !input.config.channel_url.empty();
  for (auto& [release, memory] : state.kernels) {
    const bool is_kept = kept.contains(release);
    std::erase_if(memory.failed,
                  [&](const auto& entry) { return !images.contains(entry.first) && !(may_come_again && is_kept); });
  }
  return state;
}

Result<PruneSurvey> look_for_prune(const Dir& root, const Survey& node) {
  PruneSurvey survey;
  TRY(std::vector<std::string> on_host, root.list(kHostModules));
  // Whatever else lies there is no kernel's.
  std::erase_if(on_host, [](const std::string& name) { return !check_name("kernel release", name); });
  TRY(const std::vector<std::string> mounts, root.list(kImageMounts));
  survey.attached.insert(mounts.begin(), mounts.end());
  for (const auto& [release, why] : kernels_to_keep(node.inventory, node.state, node.facts.kernel_release, on_host)) {
    TRY(Facts facts, read_facts(root, FactsRequest::everything(release)));
    survey.kernels.push_back({why, std::move(facts), [&root, release = release](const std::string& name) {
                                return host_has_firmware(root, release, name);
                              }});
  }
  return survey;
}

Result<uint64_t> remove_from_store(const Dir& root, const KnownImage& image) {
  const auto [folder, file] = place_in_store(image.name);
  // As a root of its own: no link in it leads out of it.
  TRY(const Dir store, root.open_dir(kStore));
  TRY(const auto status, store.status(folder));
  if (image.place != Place::store || folder.empty() || (status && !S_ISDIR(status->st_mode))) {
    return make_error(Errc::conflict, root.path_of(image.name) + " does not lie in a folder of the store; it is left");
  }
  TRY(const auto there, store.status(folder + "/" + file));
  TRY_VOID(store.remove_file(folder + "/" + file));
  TRY_VOID(store.remove_file(folder + "/" + kOriginNote));
  const Result<void> emptied = store.remove_dir(folder);
  // Another file in it, one that was refused perhaps, is not this one's.
  if (!emptied && emptied.error().os_error != ENOTEMPTY) return emptied.error();
  (void)root.remove_file(std::string(kManifestTexts) + "/" + image.identity().root_hash);
  return there ? static_cast<uint64_t>(there->st_size) : uint64_t{0};
}

Result<uint64_t> remove_from_quarantine(const Dir& root, const RejectedImage& rejected) {
  if (rejected.place != Place::quarantine) {
    return make_error(Errc::conflict, root.path_of(rejected.name) + " does not lie in quarantine; it is left");
  }
  TRY(const auto there, root.status(rejected.name));
  TRY_VOID(root.remove_file(rejected.name));
  TRY_VOID(root.remove_file(quarantine_note_name(rejected.name)));
  return there ? static_cast<uint64_t>(there->st_size) : uint64_t{0};
}

}  // namespace driverext
