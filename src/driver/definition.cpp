#include "driver/definition.hpp"

#include "base/text.hpp"
#include "driver/definition_parts.hpp"

namespace driverext {
namespace {

Result<DefinedHardware> parse_hardware(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"name", "modaliases", "flavors", "oldest", "newest"}, file));
  DefinedHardware hardware;
  TRY(hardware.name, toml_string(entry, "name", file));
  TRY(hardware.modaliases, toml_strings(entry, "modaliases", file));
  if (hardware.modaliases.empty()) return config_error(file, entry.source(), "\"modaliases\" names no device");
  TRY(hardware.flavors, toml_strings(entry, "flavors", file));
  TRY(hardware.oldest, toml_optional_string(entry, "oldest", file));
  TRY(hardware.newest, toml_optional_string(entry, "newest", file));
  return hardware;
}

Result<void> parse_fit(const toml::table& table, const std::string& file, Definition& definition) {
  TRY(const std::vector<std::string> conflicts, toml_strings(table, "conflicts", file));
  for (const std::string& name : conflicts) definition.conflicts.push_back(module_name_form(name));
  TRY(const auto hardware, toml_tables(table, "hardware", file));
  for (const toml::table* entry : hardware) {
    TRY(DefinedHardware parsed, parse_hardware(*entry, file));
    definition.hardware.push_back(std::move(parsed));
  }
  return {};
}

Result<Definition> parse(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(
      table, {"name", "description", "conflicts", "hardware", "module", "device", "root", "check", "toolkit", "daemon"},
      file));
  Definition definition;
  TRY(definition.name, toml_string(table, "name", file));
  TRY(definition.description, toml_optional_string(table, "description", file));
  TRY_VOID(parse_fit(table, file, definition));
  TRY(definition.modules, parse_module_rules(table, file));
  TRY(DeviceRules devices, parse_device_rules(table, file));
  definition.devices = std::move(devices.made_by_kernel);
  definition.nodes = std::move(devices.made_here);
  TRY(UserPart user, parse_user_part(table, file));
  definition.root = std::move(user.root);
  definition.check = std::move(user.check);
  definition.toolkit = std::move(user.toolkit);
  definition.daemons = std::move(user.daemons);
  return definition;
}

}  // namespace

Result<Definition> parse_definition(std::string_view text, const std::string& driver, const std::string& file) {
  TRY(const toml::table table, parse_toml(text, file));
  TRY(Definition definition, parse(table, file));
  if (definition.name != driver) {
    return config_error(file, table.source(), "it defines \"" + definition.name + "\", not " + driver);
  }
  return definition;
}

Result<Definition> read_definition(const Dir& root, const std::string& driver) {
  for (const char* folder : {"etc/driverext/drivers/", "usr/lib/driverext/drivers/"}) {
    const std::string name = folder + driver + ".toml";
    TRY(const std::optional<std::string> text, root.read_if_there(name, kMaxDefinition));
    if (text) return parse_definition(*text, driver, root.path_of(name));
  }
  return make_error(
      Errc::invalid_input, Reason::config_invalid,
      "there is no driver definition " + driver + ".toml in /etc/driverext/drivers or /usr/lib/driverext/drivers");
}

}  // namespace driverext
