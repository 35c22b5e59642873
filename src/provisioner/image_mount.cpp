#include "provisioner/image_mount.hpp"

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
  TRY_VOID(compare_manifest(inside, image.manifest_text()));
  unmount.commit();
  return {};
}

std::string number_text(uint64_t device_number) {
  return std::to_string(gnu_dev_major(device_number)) + ":" + std::to_string(gnu_dev_minor(device_number));
}

// A loop device that is mounted is anybody's: those of ours are noted down, a file for each.
std::string note_name(uint64_t device_number) { return "run/driverext/checked-mounts/" + number_text(device_number); }

// The number of a device is given to the next one as soon as it is free, the sequence number (Linux 5.15) never again.
Result<std::string> note_of(const Dir& root, uint64_t device_number, const std::string& target) {
  constexpr size_t kMaxNumber = 64;
  TRY(const std::optional<std::string> sequence,
      root.read_if_there("sys/dev/block/" + number_text(device_number) + "/diskseq", kMaxNumber));
  return sequence.value_or("-\n") + target + "\n";
}

Result<bool> is_noted(const Dir& root, uint64_t device_number, const std::string& target) {
  constexpr size_t kMaxNote = 8192;  // more than any path
  TRY(const std::optional<std::string> noted, root.read_if_there(note_name(device_number), kMaxNote));
  if (!noted) return false;
  TRY(const std::string wanted, note_of(root, device_number, target));
  return *noted == wanted;
}

Result<void> mount_checked(Kernel& kernel, const Dir& root, const VerifiedImage& image, const std::string& target) {
  TRY_VOID(image.check_all_data());
  const ImageFile& file = image.file();
  TRY_VOID(kernel.mount_region({file.fd(), file.data().offset, file.data().size, target, kImageMountOptions}));
  TRY_VOID(accept_mount(kernel, image, target));
  Undo unmount([&] { (void)kernel.unmount(target); });
  TRY(const std::optional<MountPoint> mounted, kernel.find_mount(target));
  if (!mounted) return make_error(Errc::conflict, Reason::mount_conflict, target + " was unmounted by somebody else");
  TRY(const std::string note, note_of(root, mounted->device_number, target));
  TRY_VOID(root.write_atomic(note_name(mounted->device_number), note, 0600));
  unmount.commit();
  return {};
}

struct OpenDevice {
  VerityDevice device;
  bool is_new = false;  // else it guards another mount of the same image
};

Result<OpenDevice> find_or_open(Kernel& kernel, const VerifiedImage& image, const std::string& name) {
  TRY(const std::optional<VerityDevice> there, find_device(kernel, identity_of(image), name));
  if (there) return OpenDevice{*there, false};
  TRY(VerityDevice device, open_device(kernel, image, name));
  return OpenDevice{std::move(device), true};
}

}  // namespace

Result<void> mount_image(Kernel& kernel, const Dir& root, const VerifiedImage& image, const std::string& target,
                         Guard guard) {
  TRY(const std::optional<MountPoint> mounted, kernel.find_mount(target));
  if (mounted) {
    return make_error(Errc::conflict, Reason::mount_conflict, "something is already mounted at " + target);
  }
  TRY_VOID(image.check_tree());
  if (guard == Guard::checked_once) return mount_checked(kernel, root, image, target);
  const std::string name = std::string(kDevicePrefix) + image.root_hash_hex();
  TRY(const OpenDevice open, find_or_open(kernel, image, name));
  Undo close_device([&] {
    if (open.is_new) (void)kernel.close_verity(name);
  });
  TRY(const std::string type, kernel.probe_file_system(open.device));
  TRY_VOID(kernel.mount({open.device.node, target, type, kImageMountOptions}));
  TRY_VOID(accept_mount(kernel, image, target));
  close_device.commit();
  return {};
}

Result<void> unmount_image(Kernel& kernel, const Dir& root, const std::string& target) {
  TRY(const std::optional<MountPoint> mounted, kernel.find_mount(target));
  if (!mounted) return make_error(Errc::not_found, "nothing is mounted at " + target);
  TRY(const std::optional<std::string> name, kernel.find_verity_name(mounted->device_number));
  const bool guarded = name && name->starts_with(kDevicePrefix);
  TRY(const bool checked, is_noted(root, mounted->device_number, target));
  if (!guarded && !checked) {
    return make_error(Errc::conflict, Reason::mount_conflict,
                      "what is mounted at " + target + " was not mounted by driverext image mount");
  }
  TRY_VOID(kernel.unmount(target));
  if (guarded) return kernel.close_verity(*name);
  return root.remove_file(note_name(mounted->device_number));
}

}  // namespace driverext
