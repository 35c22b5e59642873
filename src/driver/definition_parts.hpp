// Parsing of a driver definition's parts, each in a file of its own; only definition.cpp calls them.
//
// `file` is only named in messages. Errors: Reason::config_invalid, "file:line: what".
#pragma once

#include "base/result.hpp"
#include "driver/device_rules.hpp"
#include "driver/module_rules.hpp"
#include "driver/user_part.hpp"
#include "sys/toml_file.hpp"

namespace driverext {

/// The [[module]] tables.
Result<std::vector<DefinedModule>> parse_module_rules(const toml::table& definition, const std::string& file);
/// requires, wants and conflicts.
Result<HostModuleRules> parse_host_module_rules(const toml::table& definition, const std::string& file);
/// [firmware].
Result<FirmwareFrom> parse_firmware_rule(const toml::table& definition, const std::string& file);
/// The [[device]] tables.
Result<DeviceRules> parse_device_rules(const toml::table& definition, const std::string& file);
/// [root], [check], [toolkit] and the [[daemon]] tables.
Result<UserPart> parse_user_part(const toml::table& definition, const std::string& file);

}  // namespace driverext
