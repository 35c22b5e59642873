#include "provisioner/definition.hpp"

#include "base/text.hpp"
#include "sys/toml_file.hpp"

namespace driverext {
namespace {

constexpr std::string_view kEach = "/*/";
constexpr unsigned kMaxMinor = (1U << 20) - 1;
constexpr int64_t kMaxCheckSec = 600;

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

// An absolute path as it is written, relative to the root as it is used.
Result<std::string> path_below(const toml::table& table, std::string_view key, std::string_view folder,
                               const std::string& file) {
  TRY(const std::string path, toml_string(table, key, file));
  if (path.starts_with(folder) && !path.ends_with('/') && path.find("/../") == std::string::npos &&
      !path.ends_with("/..")) {
    return path.substr(1);
  }
  return config_error(file, table.source(), "\"" + std::string(key) + "\" is not below " + std::string(folder));
}

Result<DefinedDevice> parse_device(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"node", "sysfs"}, file));
  DefinedDevice device;
  TRY(device.node, path_below(entry, "node", "/dev/", file));
  TRY(const std::string sysfs, path_below(entry, "sysfs", "/sys/", file));
  device.sysfs_number = sysfs + "/dev";
  return device;
}

// "/proc/driver/x/*/information": the folder, and the file in each folder below it.
Result<void> parse_each(const toml::table& entry, const std::string& file, DefinedNode& node) {
  TRY(const std::string pattern, path_below(entry, "each", "/proc/", file));
  const size_t star = pattern.find(kEach);
  node.each = pattern.substr(0, star);
  if (star != std::string::npos) node.file = pattern.substr(star + kEach.size());
  if (node.file.empty() || node.file.find('*') != std::string::npos || node.file.find('/') != std::string::npos) {
    return config_error(file, entry.source(), "\"each\" is not of the form /proc/FOLDER/*/FILE");
  }
  TRY(node.minor_key, toml_string(entry, "minor", file));
  TRY(node.name_keys, toml_strings(entry, "names", file));
  if (node.node.find("{minor}") == std::string::npos) {
    return config_error(file, entry.source(), "\"node\" must contain {minor}: there is one for each device");
  }
  return {};
}

Result<DefinedNode> parse_node(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"node", "registered_as", "minor", "each", "names", "permissions", "optional"}, file));
  DefinedNode node;
  TRY(node.node, path_below(entry, "node", "/dev/", file));
  TRY(node.registered_as, toml_strings(entry, "registered_as", file));
  if (node.registered_as.empty()) {
    return config_error(file, entry.source(), "\"registered_as\" names nothing in /proc/devices");
  }
  TRY(node.optional, toml_bool(entry, "optional", false, file));
  if (entry.contains("permissions")) {
    TRY(node.permissions, path_below(entry, "permissions", "/proc/", file));
  }
  if (entry.contains("each")) {
    TRY_VOID(parse_each(entry, file, node));
    return node;
  }
  const auto minor = entry["minor"].value<int64_t>();
  if (!entry["minor"].is_integer() || *minor < 0 || *minor > kMaxMinor) {
    return config_error(file, entry.source(), "\"minor\" is not a number; only with \"each\" is it a key");
  }
  node.minor = static_cast<unsigned>(*minor);
  return node;
}

Result<DefinedToolkit> parse_toolkit(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(table, {"cdi", "libraries", "programs", "config", "runtime"}, file));
  DefinedToolkit toolkit;
  TRY(toolkit.libraries, toml_strings(table, "libraries", file));
  TRY(toolkit.programs, toml_strings(table, "programs", file));
  TRY(const toml::table* cdi, toml_table(table, "cdi", file));
  if (cdi != nullptr) {
    TRY_VOID(only_keys(*cdi, {"kind", "file"}, file));
    TRY(toolkit.cdi_kind, toml_string(*cdi, "kind", file));
    TRY(toolkit.cdi_file, path_below(*cdi, "file", "/run/", file));
  }
  TRY(const toml::table* config, toml_table(table, "config", file));
  if (config != nullptr) {
    TRY_VOID(only_keys(*config, {"file", "table", "key"}, file));
    TRY(toolkit.config_file, path_below(*config, "file", "/etc/", file));
    TRY(toolkit.config_table, toml_string(*config, "table", file));
    TRY(toolkit.config_key, toml_string(*config, "key", file));
  }
  TRY(const toml::table* runtime, toml_table(table, "runtime", file));
  if (runtime != nullptr) {
    TRY_VOID(only_keys(*runtime, {"name", "path"}, file));
    TRY(toolkit.runtime_name, toml_string(*runtime, "name", file));
    TRY_VOID(path_below(*runtime, "path", "/", file));
    TRY(toolkit.runtime_path, toml_string(*runtime, "path", file));
  }
  return toolkit;
}

Result<void> parse_user_part(const toml::table& table, const std::string& file, Definition& definition) {
  TRY(const toml::table* root, toml_table(table, "root", file));
  if (root != nullptr) {
    TRY_VOID(only_keys(*root, {"path"}, file));
    definition.root.emplace();
    TRY(definition.root->path, path_below(*root, "path", "/run/", file));
  }
  TRY(const toml::table* toolkit, toml_table(table, "toolkit", file));
  if (toolkit != nullptr) {
    if (!definition.root) return config_error(file, toolkit->source(), "[toolkit] needs [root]");
    TRY(definition.toolkit, parse_toolkit(*toolkit, file));
  }
  return {};
}

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

Result<BuiltinCheck> parse_builtin_check(const toml::table& table, const std::string& name, const std::string& file) {
  if (name == "modules") return BuiltinCheck::modules;
  if (name == "nodes") return BuiltinCheck::nodes;
  if (name == "versions") return BuiltinCheck::versions;
  return config_error(file, table.source(), "\"builtin\" takes modules, nodes and versions, not \"" + name + "\"");
}

Result<DefinedCheck> parse_check(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(table, {"builtin", "command", "timeout"}, file));
  DefinedCheck check;
  if (table.contains("builtin")) {
    TRY(const std::vector<std::string> names, toml_strings(table, "builtin", file));
    check.builtin.clear();
    for (const std::string& name : names) {
      TRY(const BuiltinCheck builtin, parse_builtin_check(table, name, file));
      check.builtin.push_back(builtin);
    }
  }
  TRY(check.command, toml_strings(table, "command", file));
  if (const toml::node* timeout = table.get("timeout")) {
    const auto seconds = timeout->value<int64_t>();
    if (!timeout->is_integer() || !seconds || *seconds < 1 || *seconds > kMaxCheckSec) {
      return config_error(file, timeout->source(),
                          "\"timeout\" is not a number of seconds from 1 to " + std::to_string(kMaxCheckSec));
    }
    check.timeout_sec = static_cast<unsigned>(*seconds);
  }
  return check;
}

Result<void> parse_fit(const toml::table& table, const std::string& file, Definition& definition) {
  TRY(const std::vector<std::string> conflicts, toml_strings(table, "conflicts", file));
  for (const std::string& name : conflicts) definition.conflicts.push_back(module_name_form(name));
  TRY(const auto hardware, tables(table, "hardware", file));
  for (const toml::table* entry : hardware) {
    TRY(DefinedHardware parsed, parse_hardware(*entry, file));
    definition.hardware.push_back(std::move(parsed));
  }
  return {};
}

Result<Definition> parse(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(
      table, {"name", "description", "conflicts", "hardware", "module", "device", "root", "check", "toolkit"}, file));
  Definition definition;
  TRY(definition.name, toml_string(table, "name", file));
  TRY(definition.description, toml_optional_string(table, "description", file));
  TRY_VOID(parse_fit(table, file, definition));
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
    if (entry->contains("registered_as")) {
      TRY(DefinedNode node, parse_node(*entry, file));
      definition.nodes.push_back(std::move(node));
    } else {
      TRY(DefinedDevice device, parse_device(*entry, file));
      definition.devices.push_back(std::move(device));
    }
  }
  TRY_VOID(parse_user_part(table, file, definition));
  TRY(const toml::table* check, toml_table(table, "check", file));
  if (check != nullptr) {
    TRY(definition.check, parse_check(*check, file));
  }
  if (!definition.check.command.empty() && !definition.root) {
    return config_error(file, check->source(), "\"command\" is run in the driver root, and there is no [root]");
  }
  if (definition.modules.empty()) return config_error(file, table.source(), "it names no [[module]]");
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
