// Editing a container engine's configuration as text: what we do not change keeps every byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// Larger configuration files are refused, and so is nesting deeper than this.
constexpr size_t kMaxEngineConfig = size_t{1} << 20;
constexpr int kMaxEngineConfigDepth = 64;

/// Bytes [begin, end) of a text.
struct TextSpan {
  size_t begin = 0;
  size_t end = 0;

  [[nodiscard]] std::string_view in(std::string_view text) const { return text.substr(begin, end - begin); }
  [[nodiscard]] bool empty() const { return begin == end; }
};

/// One replaced span; an empty span is an insertion.
struct TextEdit {
  TextSpan span;
  std::string replacement;
};
std::string apply_edit(std::string_view text, const TextEdit& edit);

/// The file is not ours to repair: Errc::invalid_input with Reason::toolkit_config_invalid and "line L, column C: ".
/// Columns are bytes, from 1.
Error refuse_config(std::string_view text, size_t position, std::string_view what);

/// An edit that did more than it should: never written. Errc::internal with Reason::toolkit_config_invalid.
Error refuse_edit(std::string_view what);

/// Errors: as refuse_config.
Result<void> check_config_size(std::string_view text);

/// A path or another value that goes into a configuration file: 1 to 4095 bytes of printable UTF-8.
/// Errors: Errc::invalid_input that names `what`.
Result<void> check_config_value(std::string_view what, std::string_view value);

}  // namespace driverext
