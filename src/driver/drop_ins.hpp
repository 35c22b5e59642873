// Drop-ins: small files that change single keys of a driver definition, as systemd's do.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/toml_file.hpp"

namespace driverext {

/// What a drop-in says takes the place of what was there: values and lists as a whole, tables key by key. Of a list of
/// tables ([[module]], [[device]], ...) an entry changes the one that it names, or is added. `file` is the drop-in's,
/// and only named. Errors: Reason::config_invalid if an entry could mean several.
Result<void> apply_drop_in(toml::table& definition, toml::table&& drop_in, const std::string& file);

}  // namespace driverext
