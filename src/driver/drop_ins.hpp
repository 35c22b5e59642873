// Drop-ins: small files that change single keys of a driver definition, as systemd's do.
#pragma once

#include "sys/toml_file.hpp"

namespace driverext {

/// What a drop-in says takes the place of what was there: values and lists as a whole, tables key by key. Of a list of
/// tables ([[module]], [[device]], ...) an entry changes the one with the same name, or is added.
void apply_drop_in(toml::table& definition, toml::table&& drop_in);

}  // namespace driverext
