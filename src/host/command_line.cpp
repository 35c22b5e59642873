#include "host/command_line.hpp"

#include <algorithm>

namespace driverext {
namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";

// Takes the next word off, with its quotes.
std::string_view next_raw_word(std::string_view& rest) {
  bool is_quoted = false;
  size_t end = 0;
  for (; end < rest.size(); ++end) {
    if (!is_quoted && kBlanks.find(rest[end]) != std::string_view::npos) break;
    if (rest[end] == '"') is_quoted = !is_quoted;
  }
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks, end), rest.size()));
  return word;
}

std::string in_one_form(std::string_view word) {
  const bool is_quoted_whole = word.starts_with('"');
  if (is_quoted_whole) {
    word.remove_prefix(1);
    if (word.ends_with('"')) word.remove_suffix(1);
  }
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return std::string(word);
  const std::string key(word.substr(0, equals + 1));
  std::string_view value = word.substr(equals + 1);
  const bool is_quoted_value = value.starts_with('"');
  if (is_quoted_value) {
    value.remove_prefix(1);
    if (value.ends_with('"')) value.remove_suffix(1);
  }
  const bool needs_none = value.find_first_of(kBlanks) == std::string_view::npos;
  const bool keeps_its_own = !is_quoted_whole && !is_quoted_value;  // a"b c"d
  std::string form = needs_none || keeps_its_own ? key + std::string(value) : key + '"' + std::string(value) + '"';
  // One that is not closed would take in whatever parameter comes next.
  if (std::count(form.begin(), form.end(), '"') % 2 != 0) form += '"';
  return form;
}

}  // namespace

std::vector<std::string> command_line_words(std::string_view line) {
  std::vector<std::string> words;
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  while (!line.empty()) {
    const std::string_view word = next_raw_word(line);
    if (!word.empty()) words.push_back(in_one_form(word));
  }
  return words;
}

}  // namespace driverext
