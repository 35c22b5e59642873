// Facts: what the running host is, read once at the start of a provision.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct Facts {
  std::string kernel_release;
  std::string architecture;  ///< as systemd spells it
  std::string os_id;         ///< ID= of os-release; empty if there is none
  std::string os_version_id;
  std::string boot_id;  ///< another one each time the kernel starts
};

/// From the root's proc/sys/kernel.
Result<Facts> read_facts(const Dir& root);

}  // namespace driverext
