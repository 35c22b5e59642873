// Strict JSON: what is read here decides what a kernel runs, so nothing is guessed.
//
// nlohmann-json alone keeps the last of two equal keys in silence; this reader refuses them, and
// bounds size and depth. Unknown members are refused too (only_members).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/json_fwd.hpp"
#include "base/result.hpp"

namespace driverext {

struct JsonLimits {
  size_t max_size = size_t{1} << 20;
  int max_depth = 16;
};

/// Parses one JSON value. Errors: Errc::invalid_input with the position in the text.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

/// Refuses an object with members that are not in `known`.
Result<void> only_members(const Json& object, std::span<const std::string_view> known);
inline Result<void> only_members(const Json& object, std::initializer_list<std::string_view> known) {
  return only_members(object, std::span(known.begin(), known.size()));
}

/// Required members of an object; Errc::invalid_input names the member.
Result<std::string> json_string(const Json& object, std::string_view name);
Result<uint64_t> json_number(const Json& object, std::string_view name);
/// An absent member is an empty string.
Result<std::string> json_optional_string(const Json& object, std::string_view name);

}  // namespace driverext
