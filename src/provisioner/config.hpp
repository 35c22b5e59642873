// The node's configuration: which driver it wants, and how far it may go to get it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "provisioner/selection/wish.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kConfigFile = "etc/driverext/driverext.toml";

/// Whether a node without a device that the driver could drive is to have the driver all the same.
enum class HardwareNeed { required, optional };

/// How long each rung of the ladder may take. Seconds of wall clock.
struct Budget {
  unsigned boot_sec = 60;         ///< whatever is done before the boot goes on: images that are here
  unsigned fetch_sec = 3600;      ///< off the boot's critical path: one file
  unsigned build_sec = 3 * 3600;  ///< the same
};
constexpr unsigned kMaxBudgetSec = 24 * 3600;
/// Less than TimeoutStartSec= of driverext.service: systemd would end it while it still has time.
constexpr unsigned kMaxBootSec = 240;

struct Config {
  std::string driver;                              ///< [driver] name
  std::string definition = {};                     ///< [driver] definition; else that of the driver's name
  VersionWish version = {};                        ///< [driver] version
  std::string flavor;                              ///< [driver] flavor; empty: whichever the hardware takes ("auto")
  HardwareNeed hardware = HardwareNeed::required;  ///< [driver] hardware
  Budget budget = {};                              ///< [budget] boot, fetch, build
  std::string channel_url;                         ///< [channel] url; empty: there is none
  std::string channel_name;                        ///< [channel] name: what its index must call itself; empty: anything
  bool build = true;                               ///< [build] enabled: build if source and builder are in the store
  /// [parameters] MODULE = "key=value ...": module as /proc/modules spells it → parameters
  std::map<std::string, std::string> parameters = {};
  bool blacklist = false;  ///< [host] blacklist: modules that were evicted stay away at later boots too
  /// [host] take_from_vfio: devices for the driver that are bound to vfio-pci are taken from it
  bool take_from_vfio = false;
  bool contract = false;  ///< [host] contract: the files by which the vendor's own tools see that the driver is there
  bool merge = false;     ///< [host] merge: the extension's programs on the host's PATH
  std::optional<std::vector<std::string>> toolkit;  ///< [toolkit] configure; absent: whatever is installed
};

/// What [toolkit] configure may name.
inline constexpr std::string_view kToolkitCdi = "cdi";
inline constexpr std::string_view kToolkitConfig = "config";
inline constexpr std::string_view kToolkitDocker = "docker";

/// Errors: Reason::config_invalid, also when there is no configuration.
Result<Config> read_config(const Dir& root);

}  // namespace driverext
