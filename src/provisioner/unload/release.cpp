#include "provisioner/unload/release.hpp"

#include "modules/modprobe_config.hpp"
#include "provisioner/attached_images.hpp"
#include "provisioner/device_reconciler.hpp"
#include "provisioner/driver_root.hpp"

namespace driverext {
namespace {

constexpr unsigned kRefreshSec = 120;

// Folders that only this made; what has something in it stays.
void remove_folder(const Dir& root, const std::string& folder) {
  if (folder.find('/') != std::string::npos) (void)root.remove_dir(folder);
}

std::string parent_of(const std::string& name) { return name.substr(0, name.rfind('/')); }

Result<std::string> unmerge(const UnloadHost& host, const std::string& link) {
  TRY(const auto target, host.root.read_link(link));
  TRY_VOID(host.root.remove_file(link));
  const Result<std::string> refreshed =
      host.programs.run({.argv = {"systemd-sysext", "refresh"}, .timeout_sec = kRefreshSec});
  // So that the next one finds it.
  if (!refreshed && target) (void)host.root.make_link(*target, link);
  if (!refreshed) return refreshed.error();
  return std::string();
}

Result<std::string> remove_node(const UnloadHost& host, const StaleNode& stale) {
  const std::string path = host.root.path_of(stale.path);
  TRY(const auto found, host.kernel.find_node(path));
  const bool is_it = found && found->major == stale.node.major && found->minor == stale.node.minor;
  const Result<void> removed = is_it ? host.kernel.remove_node(path) : Result<void>();
  remove_folder(host.root, parent_of(stale.path));
  const std::string link = char_link_name(stale.node);
  TRY(const auto target, host.root.read_link(link));
  if (target && is_char_link_to(*target, stale.path)) TRY_VOID(host.root.remove_file(link));
  if (!removed) return removed.error();
  return std::string();
}

// Detached, not unmounted: who has a file of it open keeps that, and everybody else sees nothing of it any more.
Result<std::string> remove_root(const UnloadHost& host, const std::string& place) {
  TRY_VOID(remove_driver_root(host.kernel, host.root, place));
  remove_folder(host.root, place);
  remove_folder(host.root, parent_of(place));
  return std::string();
}

Result<std::string> release_attached(const UnloadHost& host, const AttachedImage& image) {
  TRY(const Released released, release_image(host.kernel, host.root, image.root_hash));
  return std::string(released == Released::gone ? "" : "files of it are still in use; it goes with its last user");
}

}  // namespace

Result<std::string> release(const UnloadHost& host, const UnloadFacts& facts, const PlannedUnload& step) {
  switch (step.kind) {
    case UnloadStepKind::unmerge:
      return unmerge(host, facts.merged[step.index]);
    case UnloadStepKind::allow_others:
      TRY_VOID(host.root.remove_file(kOwnConflictsFile));
      return std::string();
    case UnloadStepKind::reset_firmware:
      TRY_VOID(host.kernel.set_firmware_path(""));
      return std::string();
    case UnloadStepKind::remove_node:
      return remove_node(host, facts.nodes[step.index]);
    case UnloadStepKind::stop_watching:
      TRY_VOID(
          DeviceReconciler({.root = host.root, .kernel = host.kernel, .definition = host.definition}).stop_watching());
      return std::string();
    case UnloadStepKind::remove_cdi:
      TRY_VOID(host.root.remove_file(facts.cdi_file));
      return std::string();
    case UnloadStepKind::remove_root:
      return remove_root(host, facts.driver_root);
    case UnloadStepKind::release_image:
      return release_attached(host, facts.images[step.index]);
    default:
      return make_error(Errc::internal, "not a step after the modules are gone");
  }
}

}  // namespace driverext
