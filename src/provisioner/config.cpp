#include "provisioner/config.hpp"

#include "base/text.hpp"
#include "sys/toml_file.hpp"

namespace driverext {
namespace {

Result<void> read_channel(const toml::table& table, const std::string& file, Config& config) {
  TRY_VOID(only_keys(table, {"url", "name"}, file));
  TRY(config.channel_url, toml_string(table, "url", file));
  TRY(config.channel_name, toml_optional_string(table, "name", file));
  if (!config.channel_url.starts_with("http://") && !config.channel_url.starts_with("https://")) {
    return config_error(file, table.source(), "the channel's url is not http:// or https://");
  }
  return {};
}

Result<void> read_toolkit(const toml::table& table, const std::string& file, Config& config) {
  TRY_VOID(only_keys(table, {"configure"}, file));
  TRY(config.toolkit, toml_strings(table, "configure", file));
  for (const std::string& name : *config.toolkit) {
    if (name == kToolkitCdi || name == kToolkitConfig || name == kToolkitDocker) continue;
    return config_error(file, table.source(), "\"configure\" takes cdi, config and docker, not \"" + name + "\"");
  }
  return {};
}

Result<HardwareNeed> read_hardware_need(const toml::table& table, const std::string& file) {
  const toml::node* node = table.get("hardware");
  if (node == nullptr) return HardwareNeed::required;
  const std::string need = node->value<std::string>().value_or("");
  if (need == "required") return HardwareNeed::required;
  if (need == "optional") return HardwareNeed::optional;
  return config_error(file, node->source(), "\"hardware\" takes required and optional");
}

Result<void> read_driver(const toml::table& table, const std::string& file, Config& config) {
  TRY_VOID(only_keys(table, {"name", "definition", "version", "flavor", "hardware"}, file));
  TRY(config.driver, toml_string(table, "name", file));
  if (const Result<void> fine = check_name("driver name", config.driver); !fine) {
    return config_error(file, table.source(), fine.error().what);
  }
  TRY(config.definition, toml_optional_string(table, "definition", file));
  if (config.definition.empty()) config.definition = config.driver;
  if (const Result<void> fine = check_name("definition name", config.definition); !fine) {
    return config_error(file, table["definition"].node()->source(), fine.error().what);
  }
  TRY(const std::string version, toml_optional_string(table, "version", file));
  if (!version.empty()) {
    Result<VersionWish> wish = parse_version_wish(version);
    if (!wish) return config_error(file, table["version"].node()->source(), wish.error().what);
    config.version = *std::move(wish);
  }
  TRY(const std::string flavor, toml_optional_string(table, "flavor", file));
  if (!flavor.empty() && flavor != kAnyFlavor) {
    if (const Result<void> fine = check_name("flavor", flavor); !fine) {
      return config_error(file, table["flavor"].node()->source(), fine.error().what);
    }
    config.flavor = flavor;
  }
  TRY(config.hardware, read_hardware_need(table, file));
  return {};
}

Result<void> read_seconds(const toml::table& table, std::string_view key, const std::string& file, unsigned& seconds,
                          unsigned at_most = kMaxBudgetSec) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return {};
  const auto value = node->value<int64_t>();
  if (!node->is_integer() || !value || *value < 1 || *value > at_most) {
    return config_error(file, node->source(),
                        "\"" + std::string(key) + "\" is not a number of seconds from 1 to " + std::to_string(at_most));
  }
  seconds = static_cast<unsigned>(*value);
  return {};
}

Result<void> read_parameters(const toml::table& table, const std::string& file, Config& config) {
  for (const auto& [key, value] : table) {
    if (const Result<void> fine = check_name("module name", key.str()); !fine) {
      return config_error(file, key.source(), fine.error().what);
    }
    TRY(const std::string parameters, toml_line(table, key.str(), file));
    config.parameters.insert_or_assign(module_name_form(key.str()), parameters);
  }
  return {};
}

Result<void> read_budget(const toml::table& table, const std::string& file, Budget& budget) {
  TRY_VOID(only_keys(table, {"boot", "fetch", "build"}, file));
  TRY_VOID(read_seconds(table, "boot", file, budget.boot_sec, kMaxBootSec));
  TRY_VOID(read_seconds(table, "fetch", file, budget.fetch_sec));
  return read_seconds(table, "build", file, budget.build_sec);
}

}  // namespace

Result<Config> read_config(const Dir& root) {
  const std::string file = root.path_of(kConfigFile);
  Result<toml::table> table = read_toml(root, kConfigFile);
  if (!table && table.error().code == Errc::not_found) {
    return make_error(Errc::invalid_input, Reason::config_invalid,
                      "there is no " + file + "; it needs at least: [driver] and name = \"...\"");
  }
  if (!table) return std::move(table).error();
  TRY_VOID(only_keys(*table, {"driver", "budget", "channel", "build", "host", "parameters", "toolkit"}, file));
  const toml::table* driver = table->get_as<toml::table>("driver");
  if (driver == nullptr) return config_error(file, table->source(), "the table [driver] is missing");
  Config config;
  TRY_VOID(read_driver(*driver, file, config));
  TRY(const toml::table* budget, toml_table(*table, "budget", file));
  if (budget != nullptr) TRY_VOID(read_budget(*budget, file, config.budget));
  TRY(const toml::table* channel, toml_table(*table, "channel", file));
  if (channel != nullptr) TRY_VOID(read_channel(*channel, file, config));
  TRY(const toml::table* build, toml_table(*table, "build", file));
  if (build != nullptr) {
    TRY_VOID(only_keys(*build, {"enabled"}, file));
    TRY(config.build, toml_bool(*build, "enabled", true, file));
  }
  TRY(const toml::table* host, toml_table(*table, "host", file));
  if (host != nullptr) {
    TRY_VOID(only_keys(*host, {"blacklist", "contract", "merge", "take_from_vfio"}, file));
    TRY(config.merge, toml_bool(*host, "merge", false, file));
    TRY(config.blacklist, toml_bool(*host, "blacklist", false, file));
    TRY(config.take_from_vfio, toml_bool(*host, "take_from_vfio", false, file));
    TRY(config.contract, toml_bool(*host, "contract", false, file));
  }
  TRY(const toml::table* parameters, toml_table(*table, "parameters", file));
  if (parameters != nullptr) TRY_VOID(read_parameters(*parameters, file, config));
  TRY(const toml::table* toolkit, toml_table(*table, "toolkit", file));
  if (toolkit != nullptr) TRY_VOID(read_toolkit(*toolkit, file, config));
  return config;
}

}  // namespace driverext
