// The node's configuration: which driver it wants, and how far it may go to get it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kConfigFile = "etc/driverext/driverext.toml";

struct Config {
  std::string driver;        ///< [driver] name
  std::string channel_url;   ///< [channel] url; empty: there is none
  std::string channel_name;  ///< [channel] name: what its index must call itself; empty: anything
  bool build = true;         ///< [build] enabled: build if source and builder are in the store
  bool merge = false;        ///< [host] merge: the extension's programs on the host's PATH
  std::optional<std::vector<std::string>> toolkit;  ///< [toolkit] configure; absent: whatever is installed
};

/// What [toolkit] configure may name.
inline constexpr std::string_view kToolkitCdi = "cdi";
inline constexpr std::string_view kToolkitConfig = "config";
inline constexpr std::string_view kToolkitDocker = "docker";

/// Errors: Reason::config_invalid, also when there is no configuration.
Result<Config> read_config(const Dir& root);

}  // namespace driverext
