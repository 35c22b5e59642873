// Which modules of an image are loaded, in which order and with which parameters. Pure: what the definition, the
// manifest and the host say in, data out.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "modules/modprobe_config.hpp"
#include "sysext/module_record.hpp"

namespace driverext {

/// What a weaker source says of a parameter.
struct OverruledParameter {
  std::string text;
  std::string source;
  bool operator==(const OverruledParameter&) const = default;
};

/// One parameter of a module, and who asked for it.
struct GivenParameter {
  std::string text;                                ///< "NAME=VALUE", or "NAME" alone
  std::string source;                              ///< kDefinitionSource, "/etc/modprobe.d/gpu.conf:3"
  std::vector<OverruledParameter> overruled = {};  ///< the weakest first
  bool operator==(const GivenParameter&) const = default;
};
inline constexpr std::string_view kDefinitionSource = "the driver definition";

struct PlannedModule {
  std::string name;
  std::vector<GivenParameter> parameters;  ///< each name once, the strongest source's value
  bool is_must = false;                    ///< the driver is not loaded without it
  std::vector<std::string> needs = {};     ///< modules of the host, if it is none that must be

  /// As the kernel takes them.
  [[nodiscard]] std::string parameter_text() const;
};

/// A module of the image that is not loaded, and why.
struct SkippedModule {
  std::string name;
  std::string why;
  bool is_defined = true;  ///< the definition is about it, by name or by "*"
};

struct ModulePlan {
  std::vector<std::string> required;    ///< of the host, loaded first: what modules that must be loaded need
  std::vector<std::string> wanted;      ///< of the host, loaded next if they are there
  std::vector<PlannedModule> own;       ///< of the image, each behind what it depends on
  std::vector<std::string> afterwards;  ///< of the host, wanted once the others are loaded (softdep post)
  std::vector<SkippedModule> skipped;
};

struct ModulePlanInput {
  const Definition& definition;
  const std::vector<ModuleRecord>& modules;              ///< of the image
  const std::map<std::string, std::string>& parameters;  ///< from driverext's configuration, by module
  const std::vector<std::string>& modaliases;
  const ModprobeConfig& modprobe;
};

/// Parameters: definition, configuration, modprobe.d, the kernel's command line; a later one wins. Errors:
/// Reason::config_invalid if the definition names a module that the image lacks, Reason::module_blacklisted if the host
/// does not want one that the driver cannot do without.
Result<ModulePlan> plan_modules(const ModulePlanInput& input);

/// The parameters of one module, in the form above.
std::vector<GivenParameter> merge_parameters(const ModulePlanInput& input, const std::string& module);

/// Whether the driver is not loaded unless this module of an image is.
bool must_be_loaded(const Definition& definition, const std::string& module);

/// Names of those modules of an image, and of what they depend on in it.
std::set<std::string> must_modules(const Definition& definition, const std::vector<ModuleRecord>& modules);

}  // namespace driverext
