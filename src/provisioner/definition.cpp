#include "provisioner/definition.hpp"

#include "base/text.hpp"
#include "sys/toml_file.hpp"

namespace driverext {
namespace {

Result<std::vector<const toml::table*>> tables(const toml::table& table, std::string_view key,
                                               const std::string& file) {
  std::vector<const toml::table*> found;
  const toml::node* node = table.get(key);
  if (node == nullptr) return found;
  const toml::array* list = node->as_array();
  if (list == nullptr)
    return config_error(file, node->source(), "\"" + std::string(key) + "\" is not a list of tables");
  for (const toml::node& element : *list) {
    if (!element.is_table())
      return config_error(file, element.source(), "\"" + std::string(key) + "\" is not a list of tables");
    found.push_back(element.as_table());
  }
  return found;
}

Result<Definition> parse(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(table, {"name", "description", "module", "device"}, file));
  Definition definition;
  TRY(definition.name, toml_string(table, "name", file));
  TRY(definition.description, toml_optional_string(table, "description", file));
  TRY(const auto modules, tables(table, "module", file));
  for (const toml::table* entry : modules) {
    TRY_VOID(only_keys(*entry, {"name", "parameters"}, file));
    DefinedModule module;
    TRY(const std::string name, toml_string(*entry, "name", file));
    module.name = module_name_form(name);
    TRY(module.parameters, toml_optional_string(*entry, "parameters", file));
    definition.modules.push_back(std::move(module));
  }
  TRY(const auto devices, tables(table, "device", file));
  for (const toml::table* entry : devices) {
    TRY_VOID(only_keys(*entry, {"node", "sysfs"}, file));
    TRY(const std::string node, toml_string(*entry, "node", file));
    TRY(const std::string sysfs, toml_string(*entry, "sysfs", file));
    if (!node.starts_with("/dev/") || !sysfs.starts_with("/sys/")) {
      return config_error(file, entry->source(), "\"node\" is below /dev and \"sysfs\" below /sys");
    }
    definition.devices.push_back({node.substr(1), sysfs.substr(1) + "/dev"});
  }
  if (definition.modules.empty()) return config_error(file, table.source(), "it names no [[module]]");
  return definition;
}

}  // namespace

Result<Definition> read_definition(const Dir& root, const std::string& driver) {
  for (const char* folder : {"etc/driverext/drivers/", "usr/lib/driverext/drivers/"}) {
    const std::string name = folder + driver + ".toml";
    Result<toml::table> table = read_toml(root, name);
    if (!table && table.error().code == Errc::not_found) continue;
    if (!table) return std::move(table).error();
    TRY(Definition definition, parse(*table, root.path_of(name)));
    if (definition.name != driver) {
      return config_error(root.path_of(name), table->source(), "it defines \"" + definition.name + "\", not " + driver);
    }
    return definition;
  }
  return make_error(
      Errc::invalid_input, Reason::config_invalid,
      "there is no driver definition " + driver + ".toml in /etc/driverext/drivers or /usr/lib/driverext/drivers");
}

}  // namespace driverext
