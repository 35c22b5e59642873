// attach: image file → loop devices → dm-verity → read-only mount.
#include <cerrno>

#include "provisioner/steps/step.hpp"

namespace driverext {

std::string verity_name(const VerifiedImage& image) { return "driverext-" + image.root_hash_hex(); }

std::string mount_name(const VerifiedImage& image) { return "run/driverext/mounts/" + image.root_hash_hex(); }

Result<std::optional<VerityDevice>> find_active(Kernel& kernel, const VerifiedImage& image) {
  const std::string name = verity_name(image);
  TRY(std::optional<VerityDevice> device, kernel.find_verity(name));
  if (!device) return device;
  if (device->root_hash != image.root_hash_hex()) {
    return make_error(Errc::conflict, Reason::mount_conflict,
                      "device-mapper device " + name + " runs over another root hash: " + device->root_hash);
  }
  if (device->corrupted) {
    return make_error(Errc::untrusted, Reason::data_corrupt,
                      "the kernel met a block in " + name + " that does not match its hash");
  }
  return device;
}

namespace {

constexpr const char* kFileSystem = "squashfs";

class AttachStep final : public Step {
 public:
  explicit AttachStep(const StepContext& context)
      : context_(context),
        name_(verity_name(*context.image)),
        mount_(mount_name(*context.image)),
        target_(context.root.path_of(mount_)) {}

  Result<Probe> probe() override {
    TRY(device_, find_active(context_.kernel, *context_.image));
    TRY(const std::optional<MountPoint> mounted, context_.kernel.find_mount(target_));
    if (mounted && (!device_ || mounted->device_number != device_->device_number)) {
      return make_error(Errc::conflict, Reason::mount_conflict, "something else is mounted at " + target_);
    }
    if (!mounted) return Probe::needed;
    // Mounted by a provision that may have been killed before it came to compare. If it is the wrong one, this step
    // takes it over, fails over it again and takes it away.
    if (compare_manifest()) return Probe::satisfied;
    opened_ = made_folder_ = mounted_ = true;
    return Probe::needed;
  }

  Result<void> apply() override {
    if (mounted_) return compare_manifest();
    if (!device_) {
      TRY_VOID(load_support());
      TRY(device_, open_device());
      opened_ = true;
    }
    TRY_VOID(context_.kernel.read_first_block(*device_));
    TRY_VOID(context_.root.make_dirs(mount_, 0755));
    made_folder_ = true;
    TRY_VOID(context_.kernel.mount({device_->node, target_, kFileSystem, "ro,nosuid,nodev"}));
    mounted_ = true;
    return compare_manifest();
  }

  Result<void> undo() override {
    Result<void> result;
    const auto attempt = [&](bool& done, Result<void> outcome) {
      done = false;
      if (!outcome && result) result = std::move(outcome);
    };
    if (mounted_) attempt(mounted_, context_.kernel.unmount(target_));
    if (opened_) attempt(opened_, context_.kernel.close_verity(name_));
    if (made_folder_) attempt(made_folder_, context_.root.remove_dir(mount_));
    // Somebody else may use them by now, and they do no harm: a refusal is no failure.
    for (; !support_.empty(); support_.pop_back()) (void)context_.kernel.unload_module(support_.back());
    return result;
  }

 private:
  // The kernel would load these itself, through a modprobe process for each: slower, and without a
  // word of what is missing.
  Result<void> load_support() {
    for (const char* name : {"loop", "dm_verity", kFileSystem}) {
      // Usually there already; then the module index need not be opened at all.
      TRY(const auto present, context_.kernel.find_module(name));
      if (present) continue;
      Result<std::vector<HostModule>> order = context_.host_modules.load_order(name);
      if (!order) {
        order.error().reason = Reason::kernel_feature_missing;
        return std::move(order).error();
      }
      for (const HostModule& module : *order) {
        TRY(const auto loaded, context_.kernel.find_module(module.name));
        if (loaded) continue;
        Result<void> load = context_.kernel.load_module(module.path, "");
        if (!load && load.error().os_error == EEXIST) continue;  // udev was quicker
        if (!load) {
          load.error().reason = Reason::kernel_feature_missing;
          return load;
        }
        support_.push_back(module.name);
      }
    }
    return {};
  }

  Result<std::optional<VerityDevice>> open_device() {
    const ImageFile& file = context_.image->file();
    VerityRequest request;
    request.name = name_;
    request.fd = file.fd();
    request.data_offset = file.data().offset;
    request.data_size = file.data().size;
    request.hash_offset = file.hash().offset;
    request.hash_size = file.hash().size;
    request.root_hash = context_.image->root_hash_hex();
    request.salt = file.verity().salt.empty() ? "-" : to_hex(file.verity().salt);
    TRY(VerityDevice device, context_.kernel.open_verity(request));
    return std::optional(std::move(device));
  }

  // The manifest that was signed must be the one that is mounted, byte for byte.
  Result<void> compare_manifest() {
    TRY(const Dir inside, context_.root.open_dir(mount_));
    Result<std::string> text = inside.read_file(kManifestPath, kMaxManifestSize);
    if (!text && text.error().os_error == EIO) {
      return make_error(Errc::untrusted, Reason::data_corrupt, "a block of the manifest does not match its hash");
    }
    if (!text && text.error().code == Errc::system) return std::move(text).error();
    if (!text || *text != context_.image->manifest_text()) {
      return make_error(Errc::untrusted, Reason::manifest_mismatch, "the manifest in the image is not the signed one");
    }
    return {};
  }

  const StepContext& context_;
  std::string name_;
  std::string mount_;
  std::string target_;
  std::optional<VerityDevice> device_;
  std::vector<std::string> support_;  // modules loaded by this step, in order
  bool opened_ = false;
  bool made_folder_ = false;
  bool mounted_ = false;
};

}  // namespace

std::unique_ptr<Step> make_attach_step(const StepContext& context) { return std::make_unique<AttachStep>(context); }

}  // namespace driverext
