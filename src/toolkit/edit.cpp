#include "toolkit/edit.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace driverext {

std::string apply_edit(std::string_view text, const TextEdit& edit) {
  std::string result(text.substr(0, edit.span.begin));
  result += edit.replacement;
  result += text.substr(edit.span.end);
  return result;
}

Error refuse_config(std::string_view text, size_t position, std::string_view what) {
  const std::string_view before = text.substr(0, position);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return make_error(Errc::invalid_input, Reason::toolkit_config_invalid,
                    "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_begin + 1) +
                        ": " + std::string(what));
}

Error refuse_edit(std::string_view what) {
  return make_error(Errc::internal, Reason::toolkit_config_invalid, std::string(what));
}

Result<void> check_config_size(std::string_view text) {
  if (text.size() <= kMaxEngineConfig) return {};
  return make_error(Errc::invalid_input, Reason::toolkit_config_invalid,
                    "larger than " + human_size(kMaxEngineConfig) + ", which no configuration file is");
}

Result<void> check_config_value(std::string_view what, std::string_view value) {
  if (!value.empty() && value.size() < 4096 && printable(value) == value) return {};
  return make_error(Errc::invalid_input, std::string(what) + " \"" + std::string(value.substr(0, 160)) +
                                             "\" is empty, too long or not printable");
}

}  // namespace driverext
