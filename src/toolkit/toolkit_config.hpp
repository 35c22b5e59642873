// The container toolkit's configuration file (TOML): one text value in it, and everything else as it was.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// The text with KEY = "VALUE" in [TABLE]; the same text if that is what it says already.
///
/// A value that is there is replaced where it stands. Else the new line goes right behind a comment that shows the
/// default (#KEY = ...), else to the end of the table, else the table is added at the end of the file. TABLE.KEY in
/// front of all tables is understood too. Every other byte stays, line breaks of either kind included, and the result
/// is parsed again and compared before it is given out.
///
/// Errors: Errc::invalid_input with Reason::toolkit_config_invalid and the position, if the text is not TOML or says
/// TABLE or KEY in a way that no line can be added to (an inline table, an array of tables); Errc::invalid_input
/// without a reason of its own for arguments that are no bare keys or no printable value.
Result<std::string> with_toml_string(std::string_view text, const std::string& table, const std::string& key,
                                     const std::string& value);

}  // namespace driverext
