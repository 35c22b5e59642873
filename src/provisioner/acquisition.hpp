// Acquisition: what driverext-acquire.service is doing to get an image, or what came of it. Written by it to
// /run/driverext/acquire.json, read by provision and `driverext status`; gone with the boot.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kAcquisitionFile = "run/driverext/acquire.json";
/// Its presence is the request: driverext-acquire.service starts only if it is there.
constexpr std::string_view kAcquireWanted = "run/driverext/acquire-wanted";

struct Acquisition {
  Reason reason = Reason::fetching;  ///< fetching or building: in progress; provisioned: succeeded; else it failed
  std::string message;               ///< one line
  std::string kernel_release;
  uint64_t started_usec = 0;  ///< since the kernel started

  [[nodiscard]] bool in_progress() const { return reason == Reason::fetching || reason == Reason::building; }
  [[nodiscard]] bool failed() const { return !in_progress() && reason != Reason::provisioned; }
};

/// Nothing if there is none, or none that can be understood.
std::optional<Acquisition> read_acquisition(const Dir& root);
Result<void> write_acquisition(const Dir& root, const Acquisition& acquisition);

}  // namespace driverext
