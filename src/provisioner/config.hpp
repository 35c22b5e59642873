// The node's configuration: which driver it wants.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kConfigFile = "etc/driverext/driverext.toml";

struct Config {
  std::string driver;
};

/// Errors: Reason::config_invalid, also when there is no configuration.
Result<Config> read_config(const Dir& root);

}  // namespace driverext
