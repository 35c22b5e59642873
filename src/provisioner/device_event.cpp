#include "provisioner/device_event.hpp"

#include <cstdio>

#include "log/journal.hpp"
#include "provisioner/config.hpp"
#include "provisioner/device_reconciler.hpp"
#include "provisioner/management.hpp"
#include "provisioner/provision_lock.hpp"
#include "provisioner/steps/step.hpp"
#include "sys/cancellation.hpp"

namespace driverext {
namespace {

// A provision has left its image mounted, and looks after device nodes.
Result<bool> is_provisioned(const Dir& root) {
  TRY(const std::vector<std::string> images, root.list(kImageMounts));
  TRY(const auto watched, root.status(kWatchedModules));
  return !images.empty() && watched;
}

// A driver that lost its last device, or a module, does not report what it must; what it lost goes all the same.
Result<std::string> follow(DeviceReconciler& reconciler) {
  const Result<bool> satisfied = reconciler.is_satisfied();
  if (satisfied && *satisfied) return std::string();
  if (satisfied) {
    TRY_VOID(reconciler.apply());
    return reconciler.remark();
  }
  if (satisfied.error().reason != Reason::device_missing) return satisfied.error();
  TRY_VOID(reconciler.remove_stale());
  return satisfied.error().message();
}

}  // namespace

Result<DeviceEvent> reconcile_devices(const Dir& root, Kernel& kernel, int cancel_fd) {
  DeviceEvent event;
  TRY(const Config config, read_config(root));
  event.driver = config.driver;
  TRY(const Definition definition, read_definition(root, config.driver, config.definition));
  TRY(event.is_ours, is_provisioned(root));
  if (!event.is_ours) return event;
  DeviceReconciler reconciler({.root = root, .kernel = kernel, .definition = definition, .cancel_fd = cancel_fd});
  Result<std::string> remark = follow(reconciler);
  if (!remark) {
    if (const Result<void> undone = reconciler.undo(); !undone) {
      remark.error().what += "; and taking it back failed (" + undone.error().message() + ")";
    }
    return std::move(remark).error();
  }
  event.changes = reconciler.changes();
  event.remark = *std::move(remark);
  return event;
}

int device_event_main(const Dir& root, Kernel& kernel) {
  // An event that comes while a provision runs may be about what it has looked at already.
  const Result<UniqueFd> lock = root.wait_for_lock(kProvisionLock);
  if (!lock) {
    std::fprintf(stderr, "driverext: %s\n", lock.error().message().c_str());
    return static_cast<int>(ExitCode::failed);
  }
  const Result<UniqueFd> looking = root.wait_for_lock(kDevicesLock);
  if (!looking) std::fprintf(stderr, "driverext: %s\n", looking.error().message().c_str());
  // From here on a restart of the unit, which the next event is, lets this run end.
  const Result<Cancellation> cancellation = Cancellation::catch_signals();
  const Result<DeviceEvent> event = reconcile_devices(root, kernel, cancellation ? cancellation->fd() : -1);
  if (!event && cancellation && cancellation->has_come()) return 0;
  if (!event) {
    log_message(Priority::warning, "device nodes were left as they are: " + event.error().message());
    std::fprintf(stderr, "driverext: %s\n", event.error().message().c_str());
    return static_cast<int>(reason_info(reason_of(event.error())).exit_code);
  }
  if (event->changes != 0) {
    log_message(Priority::info, "device nodes of " + event->driver + " follow its devices: " +
                                    std::to_string(event->changes) + (event->changes == 1 ? " change" : " changes") +
                                    (event->remark.empty() ? "" : "; but " + event->remark));
  }
  return 0;
}

}  // namespace driverext
