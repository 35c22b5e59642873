#include "base/version.hpp"

#include <algorithm>

namespace driverext {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front of `text`, without leading zeros: numbers of any length are compared as text.
std::string_view take_number(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  std::string_view number = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(number.size());
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

bool begins_with_digit(std::string_view text) { return !text.empty() && is_digit(text.front()); }

// The next part, if there is one: a dot and a number.
std::string_view take_part(std::string_view& text) {
  if (!text.starts_with('.') || !begins_with_digit(text.substr(1))) {
    text = {};
    return {};
  }
  text.remove_prefix(1);
  return take_number(text);
}

int compare_numbers(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

}  // namespace

bool is_dotted_number(std::string_view text) {
  if (!begins_with_digit(text)) return false;
  take_number(text);
  while (text.starts_with('.') && begins_with_digit(text.substr(1))) take_part(text);
  return text.empty();
}

std::optional<int> compare_versions(std::string_view version, std::string_view other) {
  if (!begins_with_digit(version) || !begins_with_digit(other)) return std::nullopt;
  int order = compare_numbers(take_number(version), take_number(other));
  while (order == 0 && !(version.empty() && other.empty())) {
    const std::string_view part = take_part(version);
    order = compare_numbers(part, take_part(other));
  }
  return order;
}

}  // namespace driverext
