// Where things stand in a JSON text.
//
// A JSON library gives values, not positions, and writing them back loses what a person wrote: order, indentation,
// 1e2, \u00e9. Accepted is what Go's encoding/json accepts, since the engines are written in Go: bytes that are no
// UTF-8, half surrogates and members that stand there twice are fine; comments and trailing commas are not.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "toolkit/edit.hpp"

namespace driverext {

struct JsonMember {
  size_t gap = 0;      ///< the white space before the name begins here, behind a brace or comma
  TextSpan name_text;  ///< with its quotes
  TextSpan value;
  std::string name;  ///< without escapes; empty if it is no text at all
};

struct JsonObjectText {
  size_t inside = 0;  ///< just behind the opening brace
  size_t close = 0;   ///< the closing brace
  std::vector<JsonMember> members;
};

/// The span of the one value in `text` behind `begin`; white space may stand around it, nothing else.
/// Errors: as refuse_config; also for more than kMaxEngineConfigDepth levels.
Result<TextSpan> scan_json(std::string_view text, size_t begin);

/// The members of the object that begins at `begin` (its brace).
Result<JsonObjectText> scan_json_object(std::string_view text, size_t begin);

/// The text that a string literal stands for; nothing if `literal` is no string or stands for no Unicode text.
std::optional<std::string> json_literal_text(std::string_view literal);

}  // namespace driverext
