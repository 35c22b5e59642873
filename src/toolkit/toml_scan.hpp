// Where things stand in a TOML text: its lines, each with the keys that it is about.
//
// toml++ gives values, not a text that can be edited. This splits a file into statements and leaves their meaning to
// toml++: whoever edits by it compares what toml++ reads before and after.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "toolkit/edit.hpp"

namespace driverext {

struct TomlStatement {
  enum class Kind { blank, comment, table, table_array, key_value };
  Kind kind = Kind::blank;
  TextSpan line;                  ///< whole lines, with the line break; several if the value has several
  std::vector<std::string> path;  ///< all keys from the top, without quotes; none for a blank line or comment
  TextSpan first_key;             ///< the first one that stands in this statement, as it is written
  TextSpan content;               ///< without indentation and line break; of a key_value, the value alone
};

/// Errors: as refuse_config. A text without error need not be TOML.
Result<std::vector<TomlStatement>> scan_toml(std::string_view text);

}  // namespace driverext
