// devices: the nodes that the definition names are there, with the numbers that the kernel reports.
#include "provisioner/device_reconciler.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class DevicesStep final : public Step {
 public:
  explicit DevicesStep(const StepContext& context)
      : reconciler_({context.root, context.kernel, context.definition, context.deadline_usec, context.cancel_fd}) {}

  Result<Probe> probe() override {
    TRY(const bool satisfied, reconciler_.is_satisfied());
    return satisfied ? Probe::satisfied : Probe::needed;
  }
  Result<void> apply() override { return reconciler_.apply(); }
  Result<void> undo() override { return reconciler_.undo(); }
  [[nodiscard]] std::string remark() const override { return reconciler_.remark(); }

 private:
  DeviceReconciler reconciler_;
};

}  // namespace

std::unique_ptr<Step> make_devices_step(const StepContext& context) { return std::make_unique<DevicesStep>(context); }

}  // namespace driverext
