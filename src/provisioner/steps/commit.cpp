// commit: this image is good for this kernel. Written only if it was not known already.
#include "provisioner/state.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class CommitStep final : public Step {
 public:
  explicit CommitStep(const StepContext& context) : context_(context) {
    const ImageIdentity& image = context.image->identity();
    before_ = context.state.state();
    wanted_ = before_;
    wanted_.kernels[context.facts.kernel_release].remember_good(
        {image.driver, image.version, image.root_hash, context.now});
  }

  Result<Probe> probe() override { return wanted_ == before_ ? Probe::satisfied : Probe::needed; }

  Result<void> apply() override { return context_.state.write(wanted_); }

  Result<void> undo() override { return context_.state.write(before_); }

 private:
  const StepContext& context_;
  State before_;
  State wanted_;
};

}  // namespace

std::unique_ptr<Step> make_commit_step(const StepContext& context) { return std::make_unique<CommitStep>(context); }

}  // namespace driverext
