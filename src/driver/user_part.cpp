#include "driver/definition_parts.hpp"

namespace driverext {
namespace {

constexpr int64_t kMaxCheckSec = 600;

Result<DefinedToolkit> parse_toolkit(const toml::table& table, const std::string& file) {
  TRY_VOID(only_keys(table, {"cdi", "libraries", "programs", "config", "runtime"}, file));
  DefinedToolkit toolkit;
  TRY(toolkit.libraries, toml_strings(table, "libraries", file));
  TRY(toolkit.programs, toml_strings(table, "programs", file));
  TRY(const toml::table* cdi, toml_table(table, "cdi", file));
  if (cdi != nullptr) {
    TRY_VOID(only_keys(*cdi, {"kind", "file"}, file));
    TRY(toolkit.cdi_kind, toml_string(*cdi, "kind", file));
    TRY(toolkit.cdi_file, toml_path_below(*cdi, "file", "/run/", file));
  }
  TRY(const toml::table* config, toml_table(table, "config", file));
  if (config != nullptr) {
    TRY_VOID(only_keys(*config, {"file", "table", "key"}, file));
    TRY(toolkit.config_file, toml_path_below(*config, "file", "/etc/", file));
    TRY(toolkit.config_table, toml_string(*config, "table", file));
    TRY(toolkit.config_key, toml_string(*config, "key", file));
  }
  TRY(const toml::table* runtime, toml_table(table, "runtime", file));
  if (runtime != nullptr) {
    TRY_VOID(only_keys(*runtime, {"name", "path"}, file));
    TRY(toolkit.runtime_name, toml_string(*runtime, "name", file));
    TRY_VOID(toml_path_below(*runtime, "path", "/", file));
    TRY(toolkit.runtime_path, toml_string(*runtime, "path", file));
  }
  return toolkit;
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

}  // namespace

Result<UserPart> parse_user_part(const toml::table& definition, const std::string& file) {
  UserPart user;
  TRY(const toml::table* root, toml_table(definition, "root", file));
  if (root != nullptr) {
    TRY_VOID(only_keys(*root, {"path"}, file));
    user.root.emplace();
    TRY(user.root->path, toml_path_below(*root, "path", "/run/", file));
  }
  TRY(const toml::table* toolkit, toml_table(definition, "toolkit", file));
  if (toolkit != nullptr) {
    if (!user.root) return config_error(file, toolkit->source(), "[toolkit] needs [root]");
    TRY(user.toolkit, parse_toolkit(*toolkit, file));
  }
  TRY(const toml::table* check, toml_table(definition, "check", file));
  if (check != nullptr) {
    TRY(user.check, parse_check(*check, file));
  }
  if (!user.check.command.empty() && !user.root) {
    return config_error(file, check->source(), "\"command\" is run in the driver root, and there is no [root]");
  }
  return user;
}

}  // namespace driverext
