#include "base/text.hpp"
#include "driver/definition_parts.hpp"

namespace driverext {
namespace {

Result<std::vector<std::string>> module_names(const toml::table& table, std::string_view key, const std::string& file) {
  TRY(std::vector<std::string> names, toml_strings(table, key, file));
  for (std::string& name : names) {
    if (const Result<void> fine = check_name("module name", name); !fine) {
      return config_error(file, table.get(key)->source(), fine.error().what);
    }
    name = module_name_form(name);
  }
  return names;
}

Result<ModuleCondition> parse_condition(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(table, {"hardware", "parameter"}, file));
  ModuleCondition condition;
  TRY(condition.hardware, toml_strings(table, "hardware", file));
  TRY(condition.parameter, toml_optional_string(table, "parameter", file));
  if (condition.hardware.empty() && condition.parameter.empty()) {
    return config_error(file, table.source(), "\"when\" says nothing: it takes hardware and parameter");
  }
  return condition;
}

Result<DefinedModule> parse_module(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"name", "parameters", "optional", "when", "replaces_in_tree"}, file));
  DefinedModule module;
  TRY(const std::string name, toml_string(entry, "name", file));
  if (name != kEveryModule) {
    if (const Result<void> fine = check_name("module name", name); !fine) {
      return config_error(file, entry.source(), fine.error().what);
    }
  }
  module.name = module_name_form(name);
  if (entry.contains("parameters")) {
    TRY(module.parameters, toml_line(entry, "parameters", file));
  }
  if (name == kEveryModule && !module.parameters.empty()) {
    return config_error(file, entry.source(), "parameters are those of one module: \"*\" has none");
  }
  TRY(module.optional, toml_bool(entry, "optional", false, file));
  TRY(module.replaces_in_tree, toml_bool(entry, "replaces_in_tree", false, file));
  if (name == kEveryModule && module.replaces_in_tree) {
    return config_error(file, entry.source(), "replaces_in_tree is said of one module by its name, not of \"*\"");
  }
  TRY(const toml::table* when, toml_table(entry, "when", file));
  if (when != nullptr) {
    TRY(module.when, parse_condition(*when, file));
  }
  return module;
}

}  // namespace

Result<std::vector<DefinedModule>> parse_module_rules(const toml::table& definition, const std::string& file) {
  std::vector<DefinedModule> rules;
  TRY(const auto modules, toml_tables(definition, "module", file));
  for (const toml::table* entry : modules) {
    TRY(DefinedModule module, parse_module(*entry, file));
    for (const DefinedModule& other : rules) {
      if (other.name == module.name) {
        return config_error(file, entry->source(), "there is a [[module]] " + other.name + " already");
      }
    }
    rules.push_back(std::move(module));
  }
  if (rules.empty()) return config_error(file, definition.source(), "it names no [[module]]");
  return rules;
}

Result<HostModuleRules> parse_host_module_rules(const toml::table& definition, const std::string& file) {
  HostModuleRules rules;
  TRY(rules.required, module_names(definition, "requires", file));
  TRY(rules.wanted, module_names(definition, "wants", file));
  TRY(rules.conflicts, module_names(definition, "conflicts", file));
  return rules;
}

Result<FirmwareFrom> parse_firmware_rule(const toml::table& definition, const std::string& file) {
  TRY(const toml::table* table, toml_table(definition, "firmware", file));
  if (table == nullptr) return FirmwareFrom::host;
  TRY_VOID(only_keys(*table, {"from"}, file));
  TRY(const std::string from, toml_string(*table, "from", file));
  if (from == "host") return FirmwareFrom::host;
  if (from == "image") return FirmwareFrom::image;
  if (from != "driver-root") {
    return config_error(file, table->get("from")->source(), "\"from\" takes host, image and driver-root");
  }
  if (definition.contains("root")) return FirmwareFrom::driver_root;
  return config_error(file, table->source(), "firmware is to come from the driver root, and there is no [root]");
}

}  // namespace driverext
