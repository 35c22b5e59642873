#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/bytes.hpp"

namespace driverext {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._+-~").find(c) != std::string_view::npos;
}

// Bytes of the UTF-8 character at the start of `text`, if it is well-formed and no C1 control character; else 0.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                        : first >= 0xe0 && first <= 0xef ? 3
                        : first >= 0xf0 && first <= 0xf4 ? 4
                                                         : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool control = first == 0xc2 && byte(1) < 0xa0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return control || overlong || outside ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    size_t length = first >= 0x20 && first < 0x7f ? 1 : 0;
    if (length == 0 && first >= 0x80) length = utf8_length(text);
    if (length != 0) {
      out += text.substr(0, length);
    } else if (first == '\n') {
      out += ' ';
    } else {
      out += "\\x" + to_hex(as_bytes(text.substr(0, 1)));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

Result<void> check_name(std::string_view what, std::string_view name) {
  const bool fine = !name.empty() && name.size() <= 128 && name.front() != '.' &&
                    std::all_of(name.begin(), name.end(), is_name_character);
  if (fine) return {};
  return make_error(Errc::invalid_input, std::string(what) + " \"" + std::string(name.substr(0, 160)) +
                                             "\" is not a usable name (letters, digits and ._+-~, no dot in front)");
}

Result<void> check_relative_path(std::string_view what, std::string_view path) {
  if (path.empty() || path.size() > 1024) {
    return make_error(Errc::invalid_input, std::string(what) + " is empty or too long");
  }
  for (const std::string& part : split(path, '/')) TRY_VOID(check_name(what, part));
  return {};
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string env_value(std::string_view text, std::string_view key) {
  for (const std::string& line : split(text, '\n')) {
    const std::string_view trimmed = trim(line);
    if (trimmed.size() <= key.size() || !trimmed.starts_with(key) || trimmed[key.size()] != '=') {
      continue;
    }
    std::string_view value = trimmed.substr(key.size() + 1);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    return std::string(value);
  }
  return {};
}

std::string human_size(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string utc_text(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm fields{};
  std::array<char, 32> text{};
  if (::gmtime_r(&time, &fields) == nullptr) return std::to_string(seconds);
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &fields);
  return {text.data(), size};
}

namespace {

// How many letters have to be changed, added, left out or exchanged with their neighbour.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> above(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool are_exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (are_exchanged) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string closest_word(std::string_view word, const std::vector<std::string_view>& words) {
  constexpr size_t kLongestWord = 64;
  if (word.size() > kLongestWord) return {};
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;  // a third of it may be wrong
  std::string_view found;
  for (const std::string_view candidate : words) {
    const size_t apart = distance(word, candidate);
    if (apart >= best) continue;
    best = apart;
    found = candidate;
  }
  return std::string(found);
}

std::string module_name_form(std::string_view name) {
  std::string form(name);
  std::replace(form.begin(), form.end(), '-', '_');
  return form;
}

std::string module_name_of_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  return module_name_form(path.substr(0, path.find(".ko")));
}

}  // namespace driverext
