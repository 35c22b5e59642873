// verify: the hash tree of the very file that will be attached leads to the signed root hash.
//
// The signatures were checked when the inventory was taken, on the same open file: without that
// there is no VerifiedImage. Data blocks are the kernel's to check, as each is read; the trust policy can ask for all
// of them to be read once before.
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class VerifyStep final : public Step {
 public:
  explicit VerifyStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    // Already under dm-verity with this root hash: the kernel holds it to the tree.
    TRY(const auto device, find_active(context_.kernel, context_.image->identity()));
    return device ? Probe::satisfied : Probe::needed;
  }
  Result<void> apply() override {
    TRY(const VerifiedImage* image, context_.image->open());
    if (image->precheck() == Precheck::full) return image->check_all_data({.cancel_fd = context_.cancel_fd});
    return image->check_tree();
  }
  Result<void> undo() override { return {}; }
  [[nodiscard]] bool stays_after_failure() const override { return true; }  // it only reads

 private:
  const StepContext& context_;
};

}  // namespace

std::unique_ptr<Step> make_verify_step(const StepContext& context) { return std::make_unique<VerifyStep>(context); }

}  // namespace driverext
