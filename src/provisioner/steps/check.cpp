// check: the driver's own program, inside the driver root, says that it works.
//
// It only looks, so all of it is the probe: there is nothing to apply and nothing to undo.
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr unsigned kTimeoutSec = 60;

class CheckStep final : public Step {
 public:
  explicit CheckStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    const Definition& definition = context_.definition;
    Result<std::string> checked = context_.programs.run(
        {.argv = definition.check,
         .added_environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
         .root = context_.root.path_of(definition.root->path),
         .timeout_sec = kTimeoutSec,
         .cancel_fd = context_.cancel_fd});
    if (checked) return Probe::satisfied;
    // Stopped: nothing was found out about the driver.
    if (!is_readable(context_.cancel_fd)) checked.error().reason = Reason::check_failed;
    return std::move(checked).error();
  }
  Result<void> apply() override { return {}; }
  Result<void> undo() override { return {}; }

 private:
  const StepContext& context_;
};

}  // namespace

std::unique_ptr<Step> make_check_step(const StepContext& context) { return std::make_unique<CheckStep>(context); }

}  // namespace driverext
