// Facts: what the running host is, read once at the start of a provision.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct Facts {
  std::string kernel_release;
  std::string architecture;   ///< as systemd spells it
  std::string os_id;          ///< os-release ID
  std::string os_version_id;  ///< os-release VERSION_ID
};

/// From the root's proc/sys/kernel and os-release.
Result<Facts> read_facts(const Dir& root);

}  // namespace driverext
