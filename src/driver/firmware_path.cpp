#include "driver/firmware_path.hpp"

#include "base/text.hpp"

namespace driverext {
namespace {
constexpr size_t kMaxPath = 4096;
constexpr std::string_view kOwnFolder = "/run/driverext/";
}  // namespace

Result<FirmwarePath> read_firmware_path(const Dir& root, const std::string& wanted) {
  TRY(const auto text, root.read_if_there(kFirmwarePathFile, kMaxPath));
  if (!text) return FirmwarePath();
  FirmwarePath path{std::string(trim(*text)), FirmwarePathUse::free};
  if (path.value == wanted) {
    path.use = FirmwarePathUse::ours;
  } else if (path.value.starts_with('/') && !path.value.starts_with(kOwnFolder)) {
    // It may be the driver root of another container or tool, whose folder went with it.
    // What cannot be listed is not ours to judge.
    const Result<std::vector<std::string>> names = root.list(path.value.substr(1));
    if (!names || !names->empty()) path.use = FirmwarePathUse::foreign;
  }
  return path;
}

}  // namespace driverext
