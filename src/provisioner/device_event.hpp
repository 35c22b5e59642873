// After the boot: devices come and go, and their nodes follow. Only that, for the driver that runs; nothing is
// surveyed.
#pragma once

#include <string>

#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct DeviceEvent {
  bool is_ours = false;  ///< false: the driver does not run, or not from an image of ours; nothing was looked at
  size_t changes = 0;    ///< nodes that were made, changed or removed
  std::string driver;
  std::string remark;
};

/// To be called with kProvisionLock held. What is done half-way is taken back.
Result<DeviceEvent> reconcile_devices(const Dir& root, Kernel& kernel, int cancel_fd);

/// `provision --devices`: waits for a provision that runs, then does the above. Returns the exit code.
int device_event_main(const Dir& root, Kernel& kernel);

}  // namespace driverext
