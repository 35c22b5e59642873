// The order in which modules are loaded, from each module's own `depends`: no index is needed.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace driverext {

struct ModuleNode {
  std::string name;
  std::vector<std::string> depends;
  std::vector<std::string> after = {};  ///< those of the given modules that are better loaded before it
};

struct LoadOrder {
  std::vector<std::string> own;       ///< the given modules, each behind what it depends on
  std::vector<std::string> external;  ///< dependencies that are not among them, in order of need
};

/// A wish (`after`) that would make a circle is passed over. Errors: Errc::invalid_input for a circle (which names its
/// modules) or a name given twice.
Result<LoadOrder> order_modules(const std::vector<ModuleNode>& modules);

}  // namespace driverext
