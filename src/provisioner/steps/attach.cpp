// attach: image file → loop devices → dm-verity → read-only mount.
#include "provisioner/attachment.hpp"
#include "provisioner/steps/host_module.hpp"

namespace driverext {

std::string verity_name(const ImageIdentity& image) { return "driverext-" + image.root_hash; }

std::string mount_name(const ImageIdentity& image) { return std::string(kImageMounts) + "/" + image.root_hash; }

Result<std::optional<VerityDevice>> find_active(Kernel& kernel, const ImageIdentity& image) {
  return find_device(kernel, image, verity_name(image));
}

namespace {

class AttachStep final : public Step {
 public:
  explicit AttachStep(const StepContext& context)
      : context_(context),
        name_(verity_name(context.image->identity())),
        mount_(mount_name(context.image->identity())),
        target_(context.root.path_of(mount_)) {}

  Result<Probe> probe() override {
    TRY(device_, find_active(context_.kernel, context_.image->identity()));
    TRY(const std::optional<MountPoint> mounted, context_.kernel.find_mount(target_));
    if (mounted && (!device_ || mounted->device_number != device_->device_number)) {
      return make_error(Errc::conflict, Reason::mount_conflict, "something else is mounted at " + target_);
    }
    if (!mounted) return Probe::needed;
    // Mounted by a provision that may have been killed before it came to compare. If it is the wrong one, this step
    // takes it over, fails over it again and takes it away.
    if (compare()) return Probe::satisfied;
    opened_ = made_folder_ = mounted_ = true;
    return Probe::needed;
  }

  Result<void> apply() override {
    if (mounted_) return compare();
    if (!device_) {
      TRY_VOID(load_support({"loop", "dm_verity"}));
      TRY(const VerifiedImage* image, context_.image->open());
      TRY(device_, open_device(context_.kernel, *image, name_));
      opened_ = true;
    }
    TRY(const std::string file_system, context_.kernel.probe_file_system(*device_));
    TRY_VOID(load_support({file_system}));
    TRY_VOID(context_.root.make_dirs(mount_, 0755));
    made_folder_ = true;
    TRY_VOID(context_.kernel.mount({device_->node, target_, file_system, kImageMountOptions}));
    mounted_ = true;
    return compare();
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
  // word of what is missing. The host's options count all the same: dm_verity.require_signatures is one.
  Result<void> load_support(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      // Usually there already; then neither the module index nor modprobe.d need be opened at all.
      TRY(const auto present, context_.kernel.find_module(name));
      if (present) continue;
      if (!modprobe_) {
        TRY(modprobe_, read_modprobe_config(context_.root, context_.facts.command_line));
      }
      Result<void> load = load_host_module(context_, *modprobe_, name, support_);
      if (!load && reason_of(load.error()) == Reason::dependency_missing) {
        load.error().reason = Reason::kernel_feature_missing;
      }
      if (!load) return load;
    }
    return {};
  }

  Result<void> compare() {
    TRY(const Dir inside, context_.root.open_dir(mount_));
    TRY(const std::string signed_text, context_.image->manifest_text());
    return compare_manifest(inside, signed_text);
  }

  const StepContext& context_;
  std::string name_;
  std::string mount_;
  std::string target_;
  std::optional<VerityDevice> device_;
  std::optional<ModprobeConfig> modprobe_;
  std::vector<std::string> support_;  // modules loaded by this step, in order
  bool opened_ = false;
  bool made_folder_ = false;
  bool mounted_ = false;
};

}  // namespace

std::unique_ptr<Step> make_attach_step(const StepContext& context) { return std::make_unique<AttachStep>(context); }

}  // namespace driverext
