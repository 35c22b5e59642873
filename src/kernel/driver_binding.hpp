// Which driver has a device of the PCI bus.
#pragma once

#include "base/result.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// See Kernel::unbind_pci and Kernel::bind_pci. Source: Documentation/ABI/testing/sysfs-bus-pci.
Result<void> unbind_pci_device(const Dir& root, const PciBinding& binding);
Result<void> bind_pci_device(const Dir& root, const PciBinding& binding);

}  // namespace driverext
