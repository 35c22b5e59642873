// commit: this image is good for this kernel. Written only if it was not known already.
#include "provisioner/state.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class CommitStep final : public Step {
 public:
  explicit CommitStep(const StepContext& context) : context_(context) {
    const Manifest& manifest = context.image->manifest();
    wanted_ = {manifest.driver, manifest.version, context.image->root_hash_hex()};
  }

  Result<Probe> probe() override {
    TRY(before_, context_.root.read_if_there(kStateFile, kMaxStateSize));
    if (!before_) return Probe::needed;
    Result<State> state = parse_state(*before_);
    if (!state) return Probe::needed;  // damaged: what it said is lost, the present is known
    state_ = *std::move(state);
    const auto known = state_.good.find(context_.facts.kernel_release);
    return known != state_.good.end() && known->second == wanted_ ? Probe::satisfied : Probe::needed;
  }

  Result<void> apply() override {
    state_.good[context_.facts.kernel_release] = wanted_;
    return context_.root.write_atomic(kStateFile, format_state(state_), 0644);
  }

  Result<void> undo() override {
    if (before_) return context_.root.write_atomic(kStateFile, *before_, 0644);
    return context_.root.remove_file(kStateFile);
  }

 private:
  const StepContext& context_;
  GoodImage wanted_;
  State state_;
  std::optional<std::string> before_;
};

}  // namespace

std::unique_ptr<Step> make_commit_step(const StepContext& context) { return std::make_unique<CommitStep>(context); }

}  // namespace driverext
