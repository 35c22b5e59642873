// Firmware files of the host, where the kernel looks for them.
#pragma once

#include <string>

#include "sys/dir.hpp"

namespace driverext {

/// `name` is relative to the firmware folders, and can be a pattern of fnmatch(3) in its last component, as modules
/// name families of files. Compressed ones (.xz, .zst) count. Source: Documentation/driver-api/firmware/
/// fw_search_path.rst.
bool host_has_firmware(const Dir& root, const std::string& kernel_release, const std::string& name);

}  // namespace driverext
