// The host's own modules: where an in-tree dependency is and what it needs in turn.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace driverext {

struct HostModule {
  std::string name;
  std::string path;
  bool is_soft = false;  ///< only a soft dependency needs it: whoever asked goes on without it
};

class HostModules {
 public:
  HostModules() = default;
  HostModules(const HostModules&) = delete;
  HostModules& operator=(const HostModules&) = delete;
  virtual ~HostModules() = default;

  /// The module and everything it depends on, in loading order, with soft dependencies of the host's index as far as
  /// they are there; empty if it is built in. An alias can stand for several. Errors: Reason::dependency_missing if the
  /// host has no such module.
  virtual Result<std::vector<HostModule>> load_order(const std::string& name) = 0;
};

/// Reads modules.dep.bin and friends below `folder` ("/usr/lib/modules/6.12.107+deb13-amd64").
std::unique_ptr<HostModules> open_host_modules(const std::string& folder);

}  // namespace driverext
