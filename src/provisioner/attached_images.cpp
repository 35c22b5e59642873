#include "provisioner/attached_images.hpp"

#include <cerrno>
#include <functional>

namespace driverext {
namespace {

constexpr const char* kExtensions = "run/extensions";

ImageIdentity identity_of(const std::string& root_hash) {
  ImageIdentity image;
  image.root_hash = root_hash;
  return image;
}

// Links are told by the image that they lead to.
Result<std::vector<std::string>> links_where(const Dir& root, const std::function<bool(const std::string&)>& is_it) {
  const std::string mounts = "../" + std::string(kImageMounts).substr(std::string_view("run/").size()) + "/";
  TRY(const std::vector<std::string> names, root.list(kExtensions));
  std::vector<std::string> links;
  for (const std::string& name : names) {
    const std::string link = std::string(kExtensions) + "/" + name;
    TRY(const auto target, root.read_link(link));
    if (target && target->starts_with(mounts) && is_it(target->substr(mounts.size()))) links.push_back(link);
  }
  return links;
}

Result<void> release_if_unused(const StepContext& context, const std::string& root_hash) {
  const std::optional<Manifest> manifest = mounted_manifest(context.root, root_hash);
  const bool is_drivers =
      manifest && manifest->driver == context.config.driver && (manifest->is_loadable() || manifest->has_userland());
  if (!is_drivers) return {};
  const std::string target = context.root.path_of(mount_name(identity_of(root_hash)));
  TRY(const auto mounted, context.kernel.find_mount(target));
  if (!mounted) return {};
  TRY(const std::vector<std::string> links, merge_links(context.root, root_hash));
  if (!links.empty()) return {};
  TRY_VOID(release_image(context.kernel, context.root, root_hash));
  return {};
}

}  // namespace

std::optional<Manifest> mounted_manifest(const Dir& root, const std::string& root_hash) {
  const std::string name = mount_name(identity_of(root_hash)) + "/" + std::string(kManifestPath);
  const auto text = root.read_if_there(name, kMaxManifestSize);
  if (!text || !*text) return std::nullopt;
  Result<Manifest> manifest = parse_manifest(**text);
  if (!manifest) return std::nullopt;
  return *std::move(manifest);
}

Result<std::vector<std::string>> merge_links(const Dir& root, const std::string& root_hash) {
  return links_where(root, [&](const std::string& image) { return image == root_hash; });
}

Result<std::vector<std::string>> dangling_merge_links(const Dir& root) {
  return links_where(root, [&](const std::string& image) {
    const auto there = root.status(mount_name(identity_of(image)));
    return there && !*there;
  });
}

Result<Released> release_image(Kernel& kernel, const Dir& root, const std::string& root_hash) {
  const ImageIdentity image = identity_of(root_hash);
  const std::string place = mount_name(image);
  const std::string target = root.path_of(place);
  TRY(const auto mounted, kernel.find_mount(target));
  Result<void> unmounted = mounted ? kernel.unmount(target) : Result<void>();
  const bool is_busy = !unmounted && unmounted.error().os_error == EBUSY;
  if (is_busy) unmounted = kernel.detach(target);
  if (!unmounted) return std::move(unmounted).error();
  // The kernel removes the device with its last user.
  TRY_VOID(kernel.close_verity(verity_name(image)));
  (void)root.remove_dir(place);
  const auto device = kernel.find_verity(verity_name(image));
  const bool is_still_there = device && *device;
  return is_busy || is_still_there ? Released::in_use : Released::gone;
}

void release_other_images(const StepContext& context) {
  const Result<std::vector<std::string>> root_hashes = context.root.list(kImageMounts);
  if (!root_hashes) return;
  for (const std::string& root_hash : *root_hashes) {
    const auto is_it = [&](const KnownImage* image) {
      return image != nullptr && image->identity().root_hash == root_hash;
    };
    if (!is_it(context.image) && !is_it(context.userland)) (void)release_if_unused(context, root_hash);
  }
}

}  // namespace driverext
