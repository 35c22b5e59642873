#include "provisioner/unload/survey.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "driver/driver_holders.hpp"
#include "driver/firmware_path.hpp"
#include "modules/modprobe_config.hpp"
#include "provisioner/attached_images.hpp"
#include "provisioner/device_reconciler.hpp"
#include "provisioner/driver_root.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxSpec = size_t{1} << 20;
constexpr size_t kMaxContractFile = size_t{64} << 10;
constexpr unsigned kAskSec = 10;

struct OurImage {
  std::string root_hash;
  Manifest manifest;
};

class UnloadSurvey {
 public:
  explicit UnloadSurvey(const UnloadHost& host) : host_(host) {}

  Result<UnloadFacts> run() {
    facts_.driver = host_.definition.name;
    TRY_VOID(find_images());
    TRY(facts_.modprobe_file, host_.root.read_if_there(kOwnModprobeFile, kMaxModprobeFile));
    if (facts_.modprobe_file) parse_modprobe_file(*facts_.modprobe_file, std::string(kOwnModprobeFile), modprobe_);
    TRY(const auto conflicts, host_.root.status(kOwnConflictsFile));
    facts_.others_are_kept_away = conflicts.has_value();
    TRY_VOID(find_modules());
    if (!facts_.modules.empty() || !facts_.images.empty()) find_daemons();
    TRY_VOID(find_firmware_path());
    TRY_VOID(find_links());
    TRY(const auto watched, host_.root.status(kWatchedModules));
    facts_.is_watched = watched.has_value();
    TRY_VOID(find_nodes());
    TRY_VOID(find_cdi());
    TRY_VOID(find_root());
    return std::move(facts_);
  }

 private:
  // What a provision mounts, it leaves under the root hash; the manifest there was compared with the signed one.
  Result<void> find_images() {
    TRY(const std::vector<std::string> hashes, host_.root.list(kImageMounts));
    for (const std::string& hash : hashes) {
      ImageIdentity identity;
      identity.root_hash = hash;
      const std::string place = mount_name(identity);
      TRY(const auto mounted, host_.kernel.find_mount(host_.root.path_of(place)));
      if (!mounted) {
        // Of an unload that was killed half-way.
        const auto device = host_.kernel.find_verity(verity_name(identity));
        if (device && *device) facts_.images.push_back({hash, "", false});
        continue;
      }
      TRY(const auto name, host_.kernel.find_verity_name(mounted->device_number));
      if (name != verity_name(identity)) {
        facts_.stays.push_back("/" + place + " was not mounted by a provision");
        continue;
      }
      std::optional<Manifest> manifest = mounted_manifest(host_.root, hash);
      if (!manifest || manifest->driver != host_.definition.name) continue;
      facts_.images.push_back({hash, manifest->version, true});
      images_.push_back({hash, *std::move(manifest)});
    }
    return {};
  }

  Result<void> find_modules() {
    std::vector<std::string> names;
    bool all_are_named = false;
    for (const DefinedModule& module : host_.definition.modules) {
      all_are_named = all_are_named || module.name == kEveryModule;
      if (module.name == kEveryModule) continue;
      TRY(const bool ours, is_ours(module.name));
      if (ours) names.push_back(module.name);
    }
    size_t defined = names.size();
    for (const OurImage& image : images_) {
      for (const ModuleRecord& record : image.manifest.modules) {
        TRY(const bool is_it, is_loaded_from(record));
        if (is_it) names.push_back(module_name_form(record.name));
      }
    }
    if (all_are_named) defined = names.size();
    TRY(const std::vector<ModuleUse> uses, read_module_uses(host_.root, names));
    for (const ModuleUse& use : uses) {
      UnloadModule module;
      module.use = use;
      const auto end_of_defined = names.begin() + static_cast<std::ptrdiff_t>(defined);
      const bool is_named = std::find(names.begin(), end_of_defined, use.name) != end_of_defined;
      module.whose = is_named ? UnloadModule::Whose::driver : UnloadModule::Whose::other;
      TRY_VOID(find_source(module));
      facts_.modules.push_back(std::move(module));
    }
    if (uses.empty()) return {};
    find_what_stays();
    return find_holders(uses);
  }

  // One of that name that is loaded from elsewhere, as the host's own, is not this one's to take away.
  Result<bool> is_ours(const std::string& name) {
    TRY(const auto loaded, host_.kernel.find_module(name));
    if (!loaded) return false;
    for (const OurImage& image : images_) {
      for (const ModuleRecord& record : image.manifest.modules) {
        const bool is_it = module_name_form(record.name) == module_name_form(name);
        if (is_it && record.build_id == loaded->build_id) return true;
      }
    }
    // What a provision has loaded stands in its file for modprobe.
    if (modprobe_.install.contains(module_name_form(name))) return true;
    has_foreign_ = true;
    facts_.stays.push_back("module " + name + " was not loaded from an image that is mounted here");
    return false;
  }

  // Another file of that name is another module.
  Result<bool> is_loaded_from(const ModuleRecord& record) {
    TRY(const auto loaded, host_.kernel.find_module(record.name));
    return loaded && !record.build_id.empty() && loaded->build_id == record.build_id;
  }

  Result<void> find_source(UnloadModule& module) {
    for (const OurImage& image : images_) {
      for (const ModuleRecord& record : image.manifest.modules) {
        if (module_name_form(record.name) != module.use.name) continue;
        TRY(const bool is_it, is_loaded_from(record));
        if (!is_it) continue;
        ImageIdentity identity;
        identity.root_hash = image.root_hash;
        module.path = host_.root.path_of(mount_name(identity) + "/" + record.path);
        facts_.version = image.manifest.version;
      }
    }
    // With the parameters that it was loaded with.
    const auto options = modprobe_.options.find(module.use.name);
    if (options != modprobe_.options.end()) module.parameters = options->second.back().value;
    return {};
  }

  Result<void> find_holders(const std::vector<ModuleUse>& uses) {
    HolderQuery query = holder_query(host_.root, host_.definition, uses);
    TRY(facts_.holders, find_process_holders(host_.root, query));
    const bool is_explained =
        !facts_.holders.processes.empty() ||
        std::all_of(uses.begin(), uses.end(), [](const ModuleUse& use) { return use.other_references() == 0; });
    if (is_explained) return {};
    query.depth = HolderQuery::Depth::mappings;
    TRY(facts_.holders, find_process_holders(host_.root, query));
    return {};
  }

  // The host's own modules: somebody else may use them by now, and they do no harm.
  void find_what_stays() {
    std::set<std::string> needed;
    for (const OurImage& image : images_) {
      for (const ModuleRecord& record : image.manifest.modules) {
        for (const std::string& name : record.depends) needed.insert(module_name_form(name));
      }
    }
    std::string names;
    for (const std::string& name : needed) {
      const bool goes = std::any_of(facts_.modules.begin(), facts_.modules.end(),
                                    [&](const UnloadModule& module) { return module.use.name == name; });
      const auto loaded = host_.kernel.find_module(name);
      if (!goes && loaded && *loaded) names += (names.empty() ? "" : ", ") + name;
    }
    if (!names.empty()) facts_.stays.push_back("the host's own modules that it needed stay loaded: " + names);
  }

  // One question for all of them. Without systemd there is no such service.
  void find_daemons() {
    if (host_.definition.daemons.empty()) return;
    std::vector<std::string> argv = {
        "systemctl",  "list-units", "--plain", "--no-legend",
        "--no-pager", "--full",     "--all",   "--state=active,activating,reloading,deactivating",
        "--"};
    for (const DefinedDaemon& daemon : host_.definition.daemons) argv.push_back(daemon.unit);
    const Result<std::string> listed = host_.programs.run({.argv = argv, .timeout_sec = kAskSec});
    if (!listed) return;
    for (const DefinedDaemon& daemon : host_.definition.daemons) {
      for (const std::string& line : split(*listed, '\n')) {
        const std::string unit(trim(std::string_view(line).substr(0, line.find(' '))));
        const bool is_known = std::any_of(facts_.daemons.begin(), facts_.daemons.end(),
                                          [&](const RunningDaemon& running) { return running.unit == unit; });
        if (unit.empty() || is_known || ::fnmatch(daemon.unit.c_str(), unit.c_str(), 0) != 0) continue;
        facts_.daemons.push_back({unit, daemon.stop_sec});
      }
    }
  }

  Result<void> find_links() {
    TRY(facts_.merged, dangling_merge_links(host_.root));
    for (const OurImage& image : images_) {
      TRY(const std::vector<std::string> links, merge_links(host_.root, image.root_hash));
      facts_.merged.insert(facts_.merged.end(), links.begin(), links.end());
    }
    return {};
  }

  // Every node that has a name of the driver's, if it leaves nodes to be made: others have an owner of their own. Once
  // its modules are gone none of them leads anywhere. While they are not loaded nobody tells whose they are; then only
  // those that are looked after here.
  Result<void> find_nodes() {
    if (has_foreign_ || (facts_.modules.empty() && !facts_.is_watched)) return {};
    TRY(std::vector<NodeClaim> claims, read_node_claims(host_.root, host_.definition));
    for (NodeClaim& claim : claims) {
      claim.major.reset();
      claim.minors.clear();
      claim.wanted.clear();
    }
    TRY(facts_.nodes, find_stale_nodes(host_.root, claims, [&](const std::string& path) {
          return host_.kernel.find_node(host_.root.path_of(path));
        }));
    return {};
  }

  // Ours is JSON; other generators of the same file write YAML.
  Result<void> find_cdi() {
    const auto& toolkit = host_.definition.toolkit;
    if (!toolkit || toolkit->cdi_file.empty()) return {};
    TRY(const auto text, host_.root.read_if_there(toolkit->cdi_file, kMaxSpec));
    if (!text) return {};
    const Result<Json> spec = parse_json(*text, {.max_size = kMaxSpec});
    const bool is_ours = spec && spec->is_object() && spec->contains("kind") && (*spec)["kind"] == toolkit->cdi_kind;
    if (is_ours) {
      facts_.cdi_file = toolkit->cdi_file;
    } else {
      facts_.stays.push_back("/" + toolkit->cdi_file + " was not written by driverext, and stays");
    }
    return {};
  }

  // As a provision sets it; somebody else's stays.
  Result<void> find_firmware_path() {
    std::vector<ImageIdentity> images(1);  // the driver root is there without one too
    for (const AttachedImage& image : facts_.images) images.emplace_back().root_hash = image.root_hash;
    for (const ImageIdentity& identity : images) {
      const std::optional<std::string> path = wanted_firmware_path(host_.definition, identity);
      if (!path) return {};
      TRY(const FirmwarePath now, read_firmware_path(host_.root, *path));
      if (now.use == FirmwarePathUse::ours) facts_.firmware_path = *path;
    }
    return {};
  }

  Result<void> find_root() {
    if (!host_.definition.root) return {};
    const std::string& place = host_.definition.root->path;
    const auto mounted = find_driver_root(host_.kernel, host_.root, place);
    if (!mounted) {
      facts_.stays.push_back(mounted.error().message() + "; it stays");
      return {};
    }
    if (!*mounted) return {};
    facts_.driver_root = place;
    return find_contract_files();
  }

  // The vendor's own tools write some of the same names.
  Result<void> find_contract_files() {
    for (const AttachedImage& image : facts_.images) {
      for (const ContractFile& file : contract_files(host_.definition, image.version)) {
        TRY(const auto there, host_.root.read_if_there(file.name, kMaxContractFile));
        auto& found = facts_.contract_files;
        const bool is_new = std::none_of(found.begin(), found.end(),
                                         [&](const ContractFile& known) { return known.name == file.name; });
        if (there == file.text && is_new) found.push_back(file);
      }
    }
    return {};
  }

  const UnloadHost& host_;
  UnloadFacts facts_;
  bool has_foreign_ = false;  // modules of the driver's names that are not its own
  std::vector<OurImage> images_;
  ModprobeConfig modprobe_;  // our own file
};

}  // namespace

Result<UnloadFacts> survey_unload(const UnloadHost& host) { return UnloadSurvey(host).run(); }

}  // namespace driverext
