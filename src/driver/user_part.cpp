#include <algorithm>

#include "driver/definition_parts.hpp"

namespace driverext {
namespace {

constexpr int64_t kMaxSec = 600;

Result<unsigned> parse_seconds(const toml::table& table, const char* key, unsigned otherwise, const std::string& file) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return otherwise;
  const auto seconds = node->value<int64_t>();
  if (!node->is_integer() || !seconds || *seconds < 1 || *seconds > kMaxSec) {
    return config_error(file, node->source(),
                        "\"" + std::string(key) + "\" is not a number of seconds from 1 to " + std::to_string(kMaxSec));
  }
  return static_cast<unsigned>(*seconds);
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
  TRY(check.timeout_sec, parse_seconds(table, "timeout", check.timeout_sec, file));
  return check;
}

Result<std::vector<DefinedContractFile>> parse_contract(const toml::table& root, const std::string& file) {
  std::vector<DefinedContractFile> contract;
  TRY(const auto entries, toml_tables(root, "contract", file));
  for (const toml::table* entry : entries) {
    TRY_VOID(only_keys(*entry, {"file", "text"}, file));
    DefinedContractFile parsed;
    TRY(parsed.file, toml_path_below(*entry, "file", "/run/", file));
    TRY(parsed.text, toml_string(*entry, "text", file));
    contract.push_back(std::move(parsed));
  }
  return contract;
}

// What systemctl takes as the name of one service or as a pattern of instances; nothing that it could take for an
// option.
bool is_unit_name(std::string_view unit) {
  constexpr std::string_view kSuffix = ".service";
  constexpr std::string_view kOther = "@*._:-\\";
  constexpr size_t kLongest = 255;
  return unit.size() > kSuffix.size() && unit.size() <= kLongest && unit.ends_with(kSuffix) && unit[0] != '-' &&
         unit[0] != '*' && unit[0] != '.' && std::all_of(unit.begin(), unit.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  kOther.find(c) != std::string_view::npos;
         });
}

Result<std::vector<DefinedDaemon>> parse_daemons(const toml::table& definition, const std::string& file) {
  std::vector<DefinedDaemon> daemons;
  TRY(const auto entries, toml_tables(definition, "daemon", file));
  for (const toml::table* entry : entries) {
    TRY_VOID(only_keys(*entry, {"name", "unit", "stop_timeout"}, file));
    DefinedDaemon daemon;
    TRY(daemon.name, toml_string(*entry, "name", file));
    TRY(daemon.unit, toml_string(*entry, "unit", file));
    if (!is_unit_name(daemon.unit)) {
      return config_error(file, entry->source(), "\"unit\" is not the name of a service: \"" + daemon.unit + "\"");
    }
    TRY(daemon.stop_sec, parse_seconds(*entry, "stop_timeout", daemon.stop_sec, file));
    daemons.push_back(std::move(daemon));
  }
  return daemons;
}

}  // namespace

Result<UserPart> parse_user_part(const toml::table& definition, const std::string& file) {
  UserPart user;
  TRY(const toml::table* root, toml_table(definition, "root", file));
  if (root != nullptr) {
    TRY_VOID(only_keys(*root, {"path", "contract"}, file));
    user.root.emplace();
    TRY(user.root->path, toml_path_below(*root, "path", "/run/", file));
    TRY(user.root->contract, parse_contract(*root, file));
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
  TRY(user.daemons, parse_daemons(definition, file));
  return user;
}

}  // namespace driverext
