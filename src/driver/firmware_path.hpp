// The folder where the kernel looks for firmware before its own ones: one text for all drivers, so it is only ours to
// set while nobody else's use of it is in force.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Source: Documentation/driver-api/firmware/fw_search_path.rst.
inline constexpr std::string_view kFirmwarePathFile = "sys/module/firmware_class/parameters/path";

enum class FirmwarePathUse {
  absent,   ///< this kernel has no such setting
  free,     ///< empty, or left behind by what is gone: nobody is served by it
  ours,     ///< it is what is wanted
  foreign,  ///< somebody else's folder, which is there
};

struct FirmwarePath {
  std::string value;
  FirmwarePathUse use = FirmwarePathUse::absent;
};

/// `wanted`: absolute.
Result<FirmwarePath> read_firmware_path(const Dir& root, const std::string& wanted);

}  // namespace driverext
