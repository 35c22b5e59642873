#include "provisioner/image_mount.hpp"

#include <linux/major.h>
#include <sys/sysmacros.h>

#include "provisioner/attachment.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

// Not the name that a provision gives: neither may take the other's device away.
constexpr std::string_view kDevicePrefix = "driverext-mount-";

// Nobody may see files that turn out not to be the signed ones: they are compared before it counts as mounted.
Result<void> accept_mount(Kernel& kernel, const VerifiedImage& image, const std::string& target) {
  Undo unmount([&] { (void)kernel.unmount(target); });
  TRY(const Dir inside, Dir::open_root(target));
  TRY_VOID(compare_manifest(inside, image));
  unmount.commit();
  return {};
}

Result<Guard> mount_checked(Kernel& kernel, const VerifiedImage& image, const std::string& target) {
  TRY_VOID(image.check_all_data());
  const ImageFile& file = image.file();
  TRY_VOID(kernel.mount_region({file.fd(), file.data().offset, file.data().size, target, kImageMountOptions}));
  TRY_VOID(accept_mount(kernel, image, target));
  return Guard::checked_once;
}

struct OpenDevice {
  VerityDevice device;
  bool is_new = false;  // else it guards another mount of the same image
};

Result<OpenDevice> find_or_open(Kernel& kernel, const VerifiedImage& image, const std::string& name) {
  TRY(const std::optional<VerityDevice> there, find_device(kernel, image, name));
  if (there) return OpenDevice{*there, false};
  TRY(VerityDevice device, open_device(kernel, image, name));
  return OpenDevice{std::move(device), true};
}

}  // namespace

Result<Guard> mount_image(Kernel& kernel, const VerifiedImage& image, const std::string& target) {
  TRY(const std::optional<MountPoint> mounted, kernel.find_mount(target));
  if (mounted) {
    return make_error(Errc::conflict, Reason::mount_conflict, "something is already mounted at " + target);
  }
  TRY_VOID(image.check_tree());
  const std::string name = std::string(kDevicePrefix) + image.root_hash_hex();
  const Result<OpenDevice> open = find_or_open(kernel, image, name);
  if (!open && open.error().reason == Reason::kernel_feature_missing) return mount_checked(kernel, image, target);
  if (!open) return open.error();
  Undo close_device([&] {
    if (open->is_new) (void)kernel.close_verity(name);
  });
  TRY(const std::string type, kernel.probe_file_system(open->device));
  TRY_VOID(kernel.mount({open->device.node, target, type, kImageMountOptions}));
  TRY_VOID(accept_mount(kernel, image, target));
  close_device.commit();
  return Guard::dm_verity;
}

Result<void> unmount_image(Kernel& kernel, const std::string& target) {
  TRY(const std::optional<MountPoint> mounted, kernel.find_mount(target));
  if (!mounted) return make_error(Errc::not_found, "nothing is mounted at " + target);
  TRY(const std::optional<std::string> name, kernel.find_verity_name(mounted->device_number));
  const bool guarded = name && name->starts_with(kDevicePrefix);
  if (!guarded && gnu_dev_major(mounted->device_number) != LOOP_MAJOR) {
    return make_error(Errc::conflict, Reason::mount_conflict,
                      "what is mounted at " + target + " was not mounted by driverext image mount");
  }
  TRY_VOID(kernel.unmount(target));
  if (guarded) return kernel.close_verity(*name);
  return {};
}

}  // namespace driverext
