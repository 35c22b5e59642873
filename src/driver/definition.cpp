#include "driver/definition.hpp"

#include <map>

#include "driver/definition_parts.hpp"
#include "driver/drop_ins.hpp"

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

Result<Definition> parse(const toml::table& table, const std::string& driver, const std::string& file) {
  TRY_VOID(only_keys(table,
                     {"name", "description", "hardware", "conflicts", "requires", "wants", "module", "firmware",
                      "device", "root", "check", "toolkit", "daemon"},
                     file));
  Definition definition;
  TRY(definition.name, toml_string(table, "name", file));
  if (definition.name != driver) {
    return config_error(file, table.source(), "it defines \"" + definition.name + "\", not " + driver);
  }
  TRY(definition.description, toml_optional_string(table, "description", file));
  TRY(const auto hardware, toml_tables(table, "hardware", file));
  for (const toml::table* entry : hardware) {
    TRY(DefinedHardware parsed, parse_hardware(*entry, file));
    definition.hardware.push_back(std::move(parsed));
  }
  TRY(definition.host_modules, parse_host_module_rules(table, file));
  TRY(definition.modules, parse_module_rules(table, file));
  TRY(definition.firmware, parse_firmware_rule(table, file));
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

// Names of drop-ins of a driver → where each is.
Result<std::map<std::string, std::string>> find_drop_ins(const Dir& root, const std::string& driver) {
  std::map<std::string, std::string> found;
  for (const std::string_view folder : kDefinitionFolders) {
    const std::string drop_ins = std::string(folder) + driver + ".toml.d";
    TRY(const std::vector<std::string> names, root.list(drop_ins));
    for (const std::string& name : names) {
      if (name.ends_with(".toml") && !name.starts_with('.')) found.emplace(name, drop_ins + "/" + name);
    }
  }
  return found;
}

}  // namespace

Result<Definition> parse_definition(std::string_view text, const std::string& driver, const std::string& file) {
  TRY(const toml::table table, parse_toml(text, file));
  return parse(table, driver, file);
}

Result<Definition> read_definition(const Dir& root, const std::string& driver, const std::string& name) {
  const std::string& wanted = name.empty() ? driver : name;
  for (const std::string_view folder : kDefinitionFolders) {
    const std::string path = std::string(folder) + wanted + ".toml";
    TRY(const std::optional<std::string> text, root.read_if_there(path, kMaxDefinition));
    if (!text) continue;
    const std::string file = root.path_of(path);
    TRY(toml::table table, parse_toml(*text, file));
    TRY(const auto drop_ins, find_drop_ins(root, wanted));
    for (const auto& [drop_in, where] : drop_ins) {
      TRY(const std::string change, root.read_file(where, kMaxDefinition));
      TRY(toml::table changes, parse_toml(change, root.path_of(where)));
      TRY_VOID(apply_drop_in(table, std::move(changes), root.path_of(where)));
    }
    TRY(Definition definition, parse(table, wanted, file));
    definition.name = driver;
    return definition;
  }
  return make_error(Errc::invalid_input, Reason::config_invalid,
                    "there is no driver definition " + wanted +
                        ".toml in /etc/driverext/drivers or /usr/lib/driverext/drivers; one that fits any driver that "
                        "makes its own devices: [driver] definition = \"generic\"");
}

}  // namespace driverext
