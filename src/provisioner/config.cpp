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

}  // namespace

Result<Config> read_config(const Dir& root) {
  const std::string file = root.path_of(kConfigFile);
  Result<toml::table> table = read_toml(root, kConfigFile);
  if (!table && table.error().code == Errc::not_found) {
    return make_error(Errc::invalid_input, Reason::config_invalid,
                      "there is no " + file + "; it needs at least: [driver] and name = \"...\"");
  }
  if (!table) return std::move(table).error();
  TRY_VOID(only_keys(*table, {"driver", "channel", "build", "host", "toolkit"}, file));
  const toml::table* driver = table->get_as<toml::table>("driver");
  if (driver == nullptr) return config_error(file, table->source(), "the table [driver] is missing");
  TRY_VOID(only_keys(*driver, {"name"}, file));
  Config config;
  TRY(config.driver, toml_string(*driver, "name", file));
  if (const Result<void> fine = check_name("driver name", config.driver); !fine) {
    return config_error(file, driver->source(), fine.error().what);
  }
  TRY(const toml::table* channel, toml_table(*table, "channel", file));
  if (channel != nullptr) TRY_VOID(read_channel(*channel, file, config));
  TRY(const toml::table* build, toml_table(*table, "build", file));
  if (build != nullptr) {
    TRY_VOID(only_keys(*build, {"enabled"}, file));
    TRY(config.build, toml_bool(*build, "enabled", true, file));
  }
  TRY(const toml::table* host, toml_table(*table, "host", file));
  if (host != nullptr) {
    TRY_VOID(only_keys(*host, {"merge"}, file));
    TRY(config.merge, toml_bool(*host, "merge", false, file));
  }
  TRY(const toml::table* toolkit, toml_table(*table, "toolkit", file));
  if (toolkit != nullptr) TRY_VOID(read_toolkit(*toolkit, file, config));
  return config;
}

}  // namespace driverext
