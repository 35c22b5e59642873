// commit: this image is good for this kernel. Written only if it was not known already.
#include <utility>

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
    Result<std::optional<std::string>> text = context_.root.read_if_there(kStateFile, kMaxStateSize);
    // Larger than any that is written here: damaged, as one that cannot be parsed.
    if (!text && text.error().code == Errc::invalid_input) return Probe::needed;
    TRY(before_, std::move(text));
    if (!before_) return Probe::needed;
    Result<State> state = parse_state(*before_);
    // Written by a newer driverext, which will want it back: left as it is.
    if (!state && state.error().code == Errc::unsupported) return Probe::satisfied;
    if (!state) return Probe::needed;  // damaged: what it said is lost, the present is known
    state_ = *std::move(state);
    const auto known = state_.good.find(context_.facts.kernel_release);
    return known != state_.good.end() && known->second == wanted_ ? Probe::satisfied : Probe::needed;
  }

  Result<void> apply() override {
    began_ = true;
    state_.good[context_.facts.kernel_release] = wanted_;
    return context_.root.write_atomic(kStateFile, format_state(state_), 0644);
  }

  Result<void> undo() override {
    // Nothing is known of what was there if the probe failed.
    if (!std::exchange(began_, false)) return {};
    if (before_) {
      TRY(const Written written, context_.root.write_if_changed(kStateFile, *before_, 0644));
      (void)written;  // a write that failed has mostly left the old file as it was
      return {};
    }
    return context_.root.remove_file(kStateFile);
  }

 private:
  const StepContext& context_;
  GoodImage wanted_;
  State state_;
  std::optional<std::string> before_;
  bool began_ = false;
};

}  // namespace

std::unique_ptr<Step> make_commit_step(const StepContext& context) { return std::make_unique<CommitStep>(context); }

}  // namespace driverext
