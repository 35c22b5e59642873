#include "toolkit/json_scan.hpp"

#include <cmath>
#include <cstdlib>

#include "base/json.hpp"

namespace driverext {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // Each takes the position of the first character and returns the one behind the last.
  Result<size_t> value(size_t at, int depth) const {
    switch (peek(at)) {
      case '{':
        return object(at, depth, nullptr);
      case '[':
        return array(at, depth);
      case '"':
        return string(at);
      case 't':
        return literal(at, "true");
      case 'f':
        return literal(at, "false");
      case 'n':
        return literal(at, "null");
      default:
        return number(at);
    }
  }

  // `into` may be null: then the members are only checked.
  Result<size_t> object(size_t at, int depth, JsonObjectText* into) const {
    if (depth >= kMaxEngineConfigDepth) return too_deep(at);
    ++at;
    if (into != nullptr) into->inside = at;
    bool first = true;
    while (true) {
      JsonMember member;
      member.gap = at;
      at = skip_space(at);
      if (first && peek(at) == '}') break;
      first = false;
      if (peek(at) != '"') return unexpected(at, "the name of a member in double quotes");
      TRY(const size_t name_end, string(at));
      member.name_text = {at, name_end};
      at = skip_space(name_end);
      if (peek(at) != ':') return unexpected(at, "a colon");
      at = skip_space(at + 1);
      TRY(const size_t value_end, value(at, depth + 1));
      member.value = {at, value_end};
      if (into != nullptr) {
        member.name = json_literal_text(member.name_text.in(text_)).value_or("");
        into->members.push_back(std::move(member));
      }
      at = skip_space(value_end);
      if (peek(at) == '}') break;
      if (peek(at) != ',') return unexpected(at, "a comma or the closing brace");
      ++at;
    }
    if (into != nullptr) into->close = at;
    return at + 1;
  }

  [[nodiscard]] size_t skip_space(size_t at) const {
    const size_t found = text_.find_first_not_of(" \t\r\n", at);
    return found == std::string_view::npos ? text_.size() : found;
  }

  [[nodiscard]] Error unexpected(size_t at, std::string_view wanted) const {
    const std::string_view found = at >= text_.size() ? "the text ends where " : "not JSON: here ";
    return refuse_config(text_, std::min(at, text_.size()),
                         std::string(found) + std::string(wanted) + (at >= text_.size() ? " is missing" : " belongs"));
  }

 private:
  [[nodiscard]] char peek(size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  [[nodiscard]] Error too_deep(size_t at) const {
    return refuse_config(text_, at, "nested more than " + std::to_string(kMaxEngineConfigDepth) + " levels deep");
  }

  Result<size_t> array(size_t at, int depth) const {
    if (depth >= kMaxEngineConfigDepth) return too_deep(at);
    at = skip_space(at + 1);
    if (peek(at) == ']') return at + 1;
    while (true) {
      TRY(const size_t end, value(at, depth + 1));
      at = skip_space(end);
      if (peek(at) == ']') return at + 1;
      if (peek(at) != ',') return unexpected(at, "a comma or the closing bracket");
      at = skip_space(at + 1);
    }
  }

  Result<size_t> string(size_t at) const {
    for (++at; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '"') return at + 1;
      if (static_cast<unsigned char>(c) < 0x20) {
        return refuse_config(text_, at, "not JSON: a control character in a string");
      }
      if (c != '\\') continue;
      ++at;
      if (peek(at) == 'u') {
        for (int digit = 0; digit < 4; ++digit) {
          if (!is_hex(peek(++at))) return unexpected(at, "a hexadecimal digit");
        }
      } else if (peek(at) == '\0' || std::string_view("\"\\/bfnrt").find(peek(at)) == std::string_view::npos) {
        return unexpected(at, "one of \"\\/bfnrtu");
      }
    }
    return unexpected(at, "the end of a string");
  }

  Result<size_t> literal(size_t at, std::string_view word) const {
    if (text_.substr(at, word.size()) != word) return unexpected(at, "a value");
    return at + word.size();
  }

  Result<size_t> number(size_t at) const {
    const size_t begin = at;
    if (peek(at) == '-') ++at;
    if (!is_digit(peek(at))) return unexpected(at, at == begin ? "a value" : "a digit");
    at = peek(at) == '0' ? at + 1 : skip_digits(at);
    if (peek(at) == '.') {
      if (!is_digit(peek(++at))) return unexpected(at, "a digit");
      at = skip_digits(at);
    }
    if (peek(at) == 'e' || peek(at) == 'E') {
      ++at;
      if (peek(at) == '+' || peek(at) == '-') ++at;
      if (!is_digit(peek(at))) return unexpected(at, "a digit");
      at = skip_digits(at);
    }
    // Go refuses 1e999 too, and takes 1e-999 for zero.
    if (std::isinf(std::strtod(std::string(text_.substr(begin, at - begin)).c_str(), nullptr))) {
      return refuse_config(text_, begin, "a number that is too large for any setting");
    }
    return at;
  }

  [[nodiscard]] size_t skip_digits(size_t at) const {
    while (is_digit(peek(at))) ++at;
    return at;
  }

  std::string_view text_;
};

}  // namespace

Result<TextSpan> scan_json(std::string_view text, size_t begin) {
  const Scanner scanner(text);
  const size_t at = scanner.skip_space(begin);
  TRY(const size_t end, scanner.value(at, 0));
  if (const size_t rest = scanner.skip_space(end); rest != text.size()) {
    return refuse_config(text, rest, "not JSON: something stands behind its end");
  }
  return TextSpan{at, end};
}

Result<JsonObjectText> scan_json_object(std::string_view text, size_t begin) {
  const Scanner scanner(text);
  if (begin >= text.size() || text[begin] != '{') return scanner.unexpected(begin, "an object");
  JsonObjectText object;
  TRY_VOID(scanner.object(begin, 0, &object));
  return object;
}

std::optional<std::string> json_literal_text(std::string_view literal) {
  const Json value = Json::parse(literal, nullptr, /*allow_exceptions=*/false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

}  // namespace driverext
