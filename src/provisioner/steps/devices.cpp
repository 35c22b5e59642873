// devices: the nodes that the definition names are there, with the numbers that the kernel reports.
//
// The kernel's devtmpfs makes a node before the call that registered the device returns, so there is
// nothing to wait for once the modules are loaded.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/text.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxNumber = 64;

class DevicesStep final : public Step {
 public:
  explicit DevicesStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const DefinedDevice& device : context_.definition.devices) {
      const Result<void> there = check(device);
      if (there) continue;
      if (there.error().reason != Reason::device_missing) return there.error();
      return Probe::needed;
    }
    return Probe::satisfied;
  }

  // Nothing is made here: a node that the driver did not bring would be a lie.
  Result<void> apply() override {
    for (const DefinedDevice& device : context_.definition.devices) TRY_VOID(check(device));
    return {};
  }

  Result<void> undo() override { return {}; }

 private:
  Result<void> check(const DefinedDevice& device) {
    TRY(const std::optional<std::string> number, context_.root.read_if_there(device.sysfs_number, kMaxNumber));
    if (!number) {
      return make_error(Errc::not_found, Reason::device_missing,
                        "the driver did not register /" + device.sysfs_number + ", so there is no /" + device.node);
    }
    TRY(const std::optional<struct stat> node, context_.root.status(device.node));
    if (!node) {
      return make_error(Errc::not_found, Reason::device_missing, "/" + device.node + " is missing");
    }
    const std::string found =
        std::to_string(gnu_dev_major(node->st_rdev)) + ":" + std::to_string(gnu_dev_minor(node->st_rdev));
    const bool is_node = S_ISCHR(node->st_mode) || S_ISBLK(node->st_mode);
    if (is_node && found == trim(*number)) return {};
    return make_error(
        Errc::conflict, Reason::device_missing,
        "/" + device.node + " is not device " + std::string(trim(*number)) + " that the driver registered");
  }

  const StepContext& context_;
};

}  // namespace

std::unique_ptr<Step> make_devices_step(const StepContext& context) { return std::make_unique<DevicesStep>(context); }

}  // namespace driverext
