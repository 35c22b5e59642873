// Driver definitions: how one driver is loaded and which devices show that it works.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct DefinedModule {
  std::string name;        ///< as /proc/modules spells it
  std::string parameters;  ///< "key=value key=value"
};

/// A device node that the kernel makes once the driver runs. What it must be is asked of sysfs, so
/// that a stray file of that name does not pass for it.
struct DefinedDevice {
  std::string node;          ///< "dev/video0"
  std::string sysfs_number;  ///< file with MAJOR:MINOR, "sys/class/video4linux/video0/dev"
};

struct Definition {
  std::string name;
  std::string description;
  std::vector<DefinedModule> modules;
  std::vector<DefinedDevice> devices;
};

/// From etc/driverext/drivers, else usr/lib/driverext/drivers. Errors: Reason::config_invalid.
Result<Definition> read_definition(const Dir& root, const std::string& driver);

}  // namespace driverext
