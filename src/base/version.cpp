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

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

constexpr std::string_view kSeparators = "~-^.";

bool means_something(char c) { return is_digit(c) || is_letter(c) || kSeparators.find(c) != std::string_view::npos; }

void drop_meaningless(std::string_view& text) {
  while (!text.empty() && !means_something(text.front())) text.remove_prefix(1);
}

std::string_view take_letters(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_letter);
  const std::string_view letters = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(letters.size());
  return letters;
}

// Who begins with the separator is the older one; if both do, they go on behind it.
int take_separator(std::string_view& a, std::string_view& b, char separator) {
  const bool in_a = a.starts_with(separator);
  const bool in_b = b.starts_with(separator);
  if (in_a != in_b) return in_a ? -1 : 1;
  if (in_a) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return 0;
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

int order_of_versions(std::string_view version, std::string_view other) {
  std::string_view a = version;
  std::string_view b = other;
  while (true) {
    drop_meaningless(a);
    drop_meaningless(b);
    // A pre-release: before even the end of the other one.
    if (const int order = take_separator(a, b, '~'); order != 0) return order;
    if (a.empty() || b.empty()) return static_cast<int>(!a.empty()) - static_cast<int>(!b.empty());
    for (const char separator : {'-', '^', '.'}) {
      if (const int order = take_separator(a, b, separator); order != 0) return order;
    }
    const bool a_has_number = begins_with_digit(a);
    const bool b_has_number = begins_with_digit(b);
    if (a_has_number != b_has_number) return a_has_number ? 1 : -1;
    int order = 0;
    if (a_has_number) {
      const std::string_view number = take_number(a);
      order = compare_numbers(number, take_number(b));
    } else {
      const std::string_view letters = take_letters(a);
      order = letters.compare(take_letters(b));
    }
    if (order != 0) return order;
  }
}

}  // namespace driverext
