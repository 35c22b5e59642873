// What a driver definition says of modules: its [[module]] tables, and what must not have the hardware.
#pragma once

#include <string>
#include <vector>

namespace driverext {

struct DefinedModule {
  std::string name;        ///< as /proc/modules spells it
  std::string parameters;  ///< "key=value key=value"
};

}  // namespace driverext
