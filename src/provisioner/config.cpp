#include "provisioner/config.hpp"

#include "base/text.hpp"
#include "sys/toml_file.hpp"

namespace driverext {

Result<Config> read_config(const Dir& root) {
  const std::string file = root.path_of(kConfigFile);
  Result<toml::table> table = read_toml(root, kConfigFile);
  if (!table && table.error().code == Errc::not_found) {
    return make_error(Errc::invalid_input, Reason::config_invalid,
                      "there is no " + file + "; it needs at least: [driver] and name = \"...\"");
  }
  if (!table) return std::move(table).error();
  TRY_VOID(only_keys(*table, {"driver"}, file));
  const toml::table* driver = table->get_as<toml::table>("driver");
  if (driver == nullptr) return config_error(file, table->source(), "the table [driver] is missing");
  TRY_VOID(only_keys(*driver, {"name"}, file));
  Config config;
  TRY(config.driver, toml_string(*driver, "name", file));
  if (const Result<void> fine = check_name("driver name", config.driver); !fine) {
    return config_error(file, driver->source(), fine.error().what);
  }
  return config;
}

}  // namespace driverext
