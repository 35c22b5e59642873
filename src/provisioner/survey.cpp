#include "provisioner/survey.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <utility>

#include "driver/module_plan.hpp"
#include "host/firmware.hpp"
#include "provisioner/selection/choose.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

// The image whose modules, all that the driver is not loaded without, are the ones that are loaded. What cannot be
// asked does not run.
std::string find_running(Kernel& kernel, const Dir& root, const Definition& definition, const Inventory& inventory) {
  std::map<std::string, std::string> loaded;  // build id by name; empty if it is not
  const auto is_loaded = [&](const ModuleIdentity& module) {
    const auto [entry, is_new] = loaded.emplace(module.name, "");
    if (is_new) {
      const auto found = kernel.find_module(module.name);
      if (found && *found) entry->second = (*found)->build_id;
    }
    return !entry->second.empty() && entry->second == module.build_id;
  };
  // Two images can hold the same modules: then the one that is mounted.
  std::string running;
  for (const KnownImage& known : inventory.images) {
    const ImageIdentity& image = known.identity();
    if (image.driver != definition.name) continue;
    std::vector<ModuleIdentity> needed = image.modules;
    std::erase_if(needed, [&](const ModuleIdentity& module) { return !must_be_loaded(definition, module.name); });
    if (needed.empty() || !std::all_of(needed.begin(), needed.end(), is_loaded)) continue;
    const auto mounted = root.status(mount_name(image));
    if (mounted && *mounted) return image.root_hash;
    if (running.empty()) running = image.root_hash;
  }
  return running;
}

}  // namespace

SelectionInput Survey::selection(const State& memory, const std::set<std::string>& tried) const {
  return {facts, config, definition, inventory, memory, tried, has_firmware, running};
}

State remembered(const State& before, const Facts& facts, int64_t now) {
  State state = before;
  for (auto& [release, kernel] : state.kernels) {
    const std::optional<Attempt> attempt = std::exchange(kernel.attempt, std::nullopt);
    // Of this very boot it is only the service that went down: what it loaded is there to be found.
    if (!attempt || attempt->boot_id == facts.boot_id) continue;
    kernel.remember_failure(attempt->root_hash, attempt->version,
                            std::string(reason_info(Reason::load_interrupted).code),
                            "the node went down while it was being loaded", now);
  }
  return state;
}

Result<void> take_survey(const SurveyRequest& request, Survey& found) {
  const Dir& root = request.root;
  TRY(found.facts, read_facts(root, {.kernel_release = request.kernel_release}));
  TRY(found.config, read_config(root));
  TRY(found.definition, read_definition(root, found.config.driver, found.config.definition));
  found.trust = std::make_shared<LazyTrust>(root);
  found.verified = VerifiedCache::read(root, found.facts.boot_id);
  // A trust anchor or a policy that cannot be used is told, also while there is nothing to be verified.
  if (found.verified.is_empty()) {
    TRY(const Trust* trust, found.trust->get());
    (void)trust;
  }
  TRY(found.inventory, take_inventory(root, *found.trust, request.now, found.verified));
  if (request.kernel != nullptr && found.facts.is_running) {
    found.running = find_running(*request.kernel, root, found.definition, found.inventory);
  }
  found.has_firmware = [&root, release = found.facts.kernel_release](const std::string& name) {
    return host_has_firmware(root, release, name);
  };
  found.acquisition = read_acquisition(root);
  found.state = remembered(StateFile::read(root).state(), found.facts, request.now);
  const bool is_settled =
      request.depth == SurveyRequest::Depth::as_needed && is_settled_by_identity(found.selection(found.state, {}));
  if (is_settled) return {};
  found.facts_are_whole = true;
  TRY(found.facts, read_facts(root, FactsRequest::everything(request.kernel_release)));
  return {};
}

void add_files(const std::vector<std::string>& paths, const TrustStore& anchors, int64_t now, Survey& found) {
  const auto verify = [&](const std::string& path) -> Result<VerifiedImage> {
    const std::filesystem::path file(path);
    const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
    TRY(const Dir dir, Dir::open_root(folder));
    TRY(UniqueFd fd, dir.open_no_follow(file.filename().string(), O_RDONLY | O_NOCTTY | O_NONBLOCK));
    TRY_VOID(check_file_is_ours(fd.get(), path));
    TRY(ImageFile image, ImageFile::open(std::move(fd), path));
    return VerifiedImage::verify(std::move(image), anchors, now);
  };
  Inventory named;
  for (const std::string& path : paths) {
    Result<VerifiedImage> image = verify(path);
    if (image) {
      named.images.emplace_back(Place::inbox, path, Origin::local, *std::move(image));
    } else {
      named.rejected.push_back({Place::inbox, path, std::move(image).error()});
    }
  }
  std::move(found.inventory.images.begin(), found.inventory.images.end(), std::back_inserter(named.images));
  std::move(found.inventory.rejected.begin(), found.inventory.rejected.end(), std::back_inserter(named.rejected));
  found.inventory = std::move(named);
}

}  // namespace driverext
