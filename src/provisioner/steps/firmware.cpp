// firmware: the kernel looks for firmware in the driver's own folder first.
#include "driver/firmware_path.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class FirmwareStep final : public Step {
 public:
  explicit FirmwareStep(const StepContext& context) : context_(context) {
    const KnownImage& holder = context.userland != nullptr ? *context.userland : *context.image;
    wanted_ = wanted_firmware_path(context.definition, holder.identity()).value_or("");
  }

  Result<Probe> probe() override {
    TRY(const auto now, read_firmware_path(context_.root, wanted_));
    if (now.use == FirmwarePathUse::absent) {
      remark_ = "this kernel has no such setting";
      return Probe::satisfied;
    }
    if (now.use == FirmwarePathUse::foreign) {
      remark_ = "it looks in " + now.value + ", which somebody else has set, and that is left alone";
    }
    return now.use == FirmwarePathUse::free ? Probe::needed : Probe::satisfied;
  }

  Result<void> apply() override {
    TRY(const auto now, read_firmware_path(context_.root, wanted_));
    before_ = now.value;
    return context_.kernel.set_firmware_path(wanted_);
  }

  Result<void> undo() override {
    if (!before_) return {};
    TRY_VOID(context_.kernel.set_firmware_path(*before_));
    before_.reset();
    return {};
  }

  [[nodiscard]] std::string remark() const override { return remark_; }

 private:
  const StepContext& context_;
  std::string wanted_;
  std::optional<std::string> before_;  // set once it was changed
  std::string remark_;
};

}  // namespace

std::optional<std::string> wanted_firmware_path(const Definition& definition, const ImageIdentity& user_part) {
  switch (definition.firmware) {
    case FirmwareFrom::host:
      return std::nullopt;
    case FirmwareFrom::driver_root:
      return "/" + definition.root->path + "/lib/firmware";
    default:
      return "/" + mount_name(user_part) + "/usr/lib/firmware";
  }
}

std::unique_ptr<Step> make_firmware_step(const StepContext& context) { return std::make_unique<FirmwareStep>(context); }

}  // namespace driverext
