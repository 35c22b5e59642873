// Whose events udev is to tell of: units/60-driverext.rules asks for files, and starts driverext-devices.service.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// A file for each module of a driver whose devices are looked after, named as the module.
constexpr std::string_view kWatchedModules = "run/driverext/watched";

class DeviceWatch {
 public:
  explicit DeviceWatch(const Dir& root) : root_(root) {}
  DeviceWatch(const DeviceWatch&) = delete;
  DeviceWatch& operator=(const DeviceWatch&) = delete;

  /// These are waited for, and udev knows the rules.
  [[nodiscard]] Result<bool> is_set(const std::vector<std::string>& names) const;
  /// Sorted names of modules and drivers; none: nothing is waited for. A failure half-way is left for undo().
  Result<void> set(const std::vector<std::string>& names);
  Result<void> undo();

 private:
  Result<void> show_rules();
  Result<void> hide_rules();

  const Dir& root_;
  std::vector<std::function<Result<void>()>> undo_;  ///< in the order of what was done
};

}  // namespace driverext
