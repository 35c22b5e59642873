// Devices of a driver that vfio-pci has: somebody gives them to a virtual machine, or to a program in user space.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Devices for which the definition is, by their modaliases. Without [[hardware]] in it there are none.
Result<std::vector<PciBinding>> find_vfio_devices(const Dir& root, const Definition& definition);

/// Errors: Reason::module_conflict if somebody has the device, or another one of its IOMMU group; the message says who.
Result<void> refuse_if_vfio_is_used(const Dir& root, const PciBinding& device);

}  // namespace driverext
