// What a node remembers across reboots: the good image for each kernel. Holds no times, so that a
// boot that changes nothing writes nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

constexpr std::string_view kStateFile = "var/lib/driverext/state.json";
constexpr size_t kMaxStateSize = size_t{1} << 20;

struct GoodImage {
  std::string driver;
  std::string version;
  std::string root_hash;
  bool operator==(const GoodImage&) const = default;
};

struct State {
  std::map<std::string, GoodImage> good;  ///< by kernel release
};

Result<State> parse_state(std::string_view text);
std::string format_state(const State& state);

}  // namespace driverext
