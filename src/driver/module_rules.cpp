#include "driver/definition_parts.hpp"

#include "base/text.hpp"

namespace driverext {

Result<std::vector<DefinedModule>> parse_module_rules(const toml::table& definition, const std::string& file) {
  std::vector<DefinedModule> rules;
  TRY(const auto modules, toml_tables(definition, "module", file));
  for (const toml::table* entry : modules) {
    TRY_VOID(only_keys(*entry, {"name", "parameters"}, file));
    DefinedModule module;
    TRY(const std::string name, toml_string(*entry, "name", file));
    module.name = module_name_form(name);
    TRY(module.parameters, toml_optional_string(*entry, "parameters", file));
    rules.push_back(std::move(module));
  }
  if (rules.empty()) return config_error(file, definition.source(), "it names no [[module]]");
  return rules;
}

}  // namespace driverext
