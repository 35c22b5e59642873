#include "provisioner/release.hpp"

#include <algorithm>

namespace driverext {
namespace {

constexpr const char* kMounts = "run/driverext/mounts";
constexpr const char* kExtensions = "run/extensions";

bool is_merged(const Dir& root, const std::string& root_hash) {
  const Result<std::vector<std::string>> names = root.list(kExtensions);
  if (!names) return true;
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    const auto link = root.read_link(std::string(kExtensions) + "/" + name);
    return !link || (*link && (*link)->ends_with(root_hash));
  });
}

// By its manifest: sources and builders lie there too, and somebody is at work with them.
bool is_drivers(const StepContext& context, const std::string& mount) {
  const auto text = context.root.read_if_there(mount + "/" + std::string(kManifestPath), kMaxManifestSize);
  if (!text || !*text) return false;
  const Result<Manifest> manifest = parse_manifest(**text);
  return manifest && manifest->driver == context.config.driver && (manifest->is_loadable() || manifest->has_userland());
}

Result<void> release(const StepContext& context, const std::string& root_hash) {
  ImageIdentity image;
  image.root_hash = root_hash;
  const std::string mount = mount_name(image);
  TRY(const auto mounted, context.kernel.find_mount(context.root.path_of(mount)));
  if (!mounted || !is_drivers(context, mount) || is_merged(context.root, root_hash)) return {};
  TRY_VOID(context.kernel.detach(context.root.path_of(mount)));
  TRY_VOID(context.kernel.close_verity(verity_name(image)));
  return context.root.remove_dir(mount);
}

}  // namespace

void release_other_images(const StepContext& context) {
  const Result<std::vector<std::string>> names = context.root.list(kMounts);
  if (!names) return;
  for (const std::string& root_hash : *names) {
    const auto is_it = [&](const KnownImage* image) {
      return image != nullptr && image->identity().root_hash == root_hash;
    };
    if (!is_it(context.image) && !is_it(context.userland)) (void)release(context, root_hash);
  }
}

}  // namespace driverext
