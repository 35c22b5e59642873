#include "driver/hardware_match.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace driverext {
namespace {

constexpr size_t kMaxModalias = 512;

}  // namespace

bool matches_modalias(const std::string& pattern, const std::string& modalias) {
  return modalias.size() <= kMaxModalias && ::fnmatch(pattern.c_str(), modalias.c_str(), 0) == 0;
}

const DefinedHardware* hardware_entry(const Definition& definition, const std::string& modalias) {
  for (const DefinedHardware& hardware : definition.hardware) {
    const bool is_in = std::any_of(hardware.modaliases.begin(), hardware.modaliases.end(),
                                   [&](const std::string& pattern) { return matches_modalias(pattern, modalias); });
    if (is_in) return &hardware;
  }
  return nullptr;
}

}  // namespace driverext
