#include "kbuild/shell_assignments.hpp"

#include <charconv>

namespace driverext {
namespace {

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_character(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Each function returns whether to go on; if not, error_ or shell_ says why.
class Reader {
 public:
  Reader(std::string_view text, const ShellArrays& before) : text_(text), arrays_(before) {}

  Result<Assignments> read() {
    if (text_.size() > kMaxShellText) return make_error(Errc::invalid_input, "it is too large");
    while (skip_to_statement()) {
      if (!assignment()) break;
    }
    if (error_) return *std::move(error_);
    return Assignments{std::move(arrays_), std::move(shell_)};
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  char take() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }
  bool needs_shell(std::string why) {
    shell_ = NeedsShell{line_, std::move(why)};
    return false;
  }
  bool fail(const std::string& what) {
    error_ = make_error(Errc::invalid_input, "line " + std::to_string(line_) + ": " + what);
    return false;
  }

  bool skip_continuation() {
    if (peek() != '\\' || peek(1) != '\n') return false;
    take();
    take();
    return true;
  }
  void skip_blanks() {
    while (is_blank(peek()) || skip_continuation()) {
      if (is_blank(peek())) take();
    }
  }

  // False at the end of the text.
  bool skip_to_statement() {
    while (true) {
      skip_blanks();
      if (peek() == '#') {
        while (!at_end() && peek() != '\n') take();
      }
      if (at_end()) return false;
      if (peek() != '\n') return true;
      take();
    }
  }

  bool assignment() {
    if (++count_ > kMaxShellAssignments) return fail("there are too many assignments");
    const size_t begin = at_;
    if (is_name_start(peek())) {
      while (is_name_character(peek())) take();
    }
    const std::string name(text_.substr(begin, at_ - begin));
    unsigned index = 0;
    if (!name.empty() && peek() == '[' && !read_index(index)) return false;
    if (name.empty() || peek() != '=') return needs_shell("this is no assignment");
    take();
    if (peek() == '(') return needs_shell("a list in brackets");
    if (peek() == '~') return needs_shell("\"~\" stands for a folder");
    std::string value;
    if (!word(value)) return false;
    arrays_[name][index] = std::move(value);
    skip_blanks();
    if (peek() == ';') take();
    return true;
  }

  // "[12]"
  bool read_index(unsigned& index) {
    take();
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') take();
    const std::string_view digits = text_.substr(begin, at_ - begin);
    // bash takes a leading zero for octal.
    if (digits.empty() || peek() != ']' || (digits.size() > 1 && digits.front() == '0')) {
      return needs_shell("an index that is no plain number");
    }
    take();
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (code != std::errc() || index > kMaxShellIndex)
      return fail("index " + std::string(digits.substr(0, 20)) + " is too large");
    return true;
  }

  bool append(std::string& value, std::string_view more) {
    total_ += more.size();
    if (value.size() + more.size() > kMaxShellValue || total_ > kMaxShellTotal) return fail("a value is too long");
    value += more;
    return true;
  }

  bool word(std::string& value) {
    while (!at_end()) {
      if (skip_continuation()) continue;
      const char c = peek();
      if (is_blank(c) || c == '\n' || c == ';') return true;
      if (!piece(value, c)) return false;
    }
    return true;
  }

  bool piece(std::string& value, char c) {
    switch (c) {
      case '\'':
        return single_quoted(value);
      case '"':
        return double_quoted(value);
      case '$':
        return expansion(value, Quoted::no);
      case '\\':
        take();
        if (at_end()) return fail("it ends in a backslash");
        break;
      case '`':
        return needs_shell("a command substitution");
      case '&':
      case '|':
      case '<':
      case '>':
      case '(':
      case ')':
        return needs_shell("an unquoted \"" + std::string(1, c) + "\"");
      default:
        if (c == '~' && text_[at_ - 1] == ':') return needs_shell("\"~\" stands for a folder");
    }
    return character(value);
  }

  bool character(std::string& value) {
    const char c = take();
    if (c == '\0' || c == '\r') return fail(c == '\r' ? "it has a carriage return" : "it has a zero byte");
    return append(value, std::string_view(&c, 1));
  }

  bool single_quoted(std::string& value) {
    take();
    while (!at_end()) {
      if (peek() == '\'') {
        take();
        return true;
      }
      if (!character(value)) return false;
    }
    return fail("a quotation does not end");
  }

  bool double_quoted(std::string& value) {
    take();
    while (!at_end()) {
      if (skip_continuation()) continue;
      const char c = peek();
      if (c == '"') {
        take();
        return true;
      }
      if (c == '`') return needs_shell("a command substitution");
      if (c == '$') {
        if (!expansion(value, Quoted::yes)) return false;
        continue;
      }
      // The backslash stays before anything that has no meaning of its own.
      if (c == '\\' && std::string_view("\\\"$`").find(peek(1)) != std::string_view::npos) take();
      if (!at_end() && !character(value)) return false;
    }
    return fail("a quotation does not end");
  }

  enum class Quoted { yes, no };

  bool expansion(std::string& value, Quoted quoted) {
    const char next = peek(1);
    const bool in_braces = next == '{';
    if (!in_braces && !is_name_start(next)) {
      const bool other_quotes = quoted == Quoted::no && (next == '\'' || next == '"');
      if (other_quotes || std::string_view("(?$#@*!-[0123456789").find(next) != std::string_view::npos) {
        return needs_shell("\"$" + std::string(1, next) + "\" is for a shell");
      }
      return character(value);  // a dollar sign by itself
    }
    take();
    if (in_braces) take();
    const size_t begin = at_;
    if (is_name_start(peek())) {
      while (is_name_character(peek())) take();
    }
    const std::string name(text_.substr(begin, at_ - begin));
    unsigned index = 0;
    if (in_braces && peek() == '[' && !read_index(index)) return false;
    if (in_braces && (name.empty() || peek() != '}')) return needs_shell("an expansion that is more than a name");
    if (in_braces) take();
    const auto array = arrays_.find(name);
    if (array == arrays_.end() || !array->second.contains(index)) {
      // It could be of the environment; empty would be a guess.
      return needs_shell("$" + name.substr(0, 64) + " was not assigned before");
    }
    return append(value, array->second.at(index));
  }

  std::string_view text_;
  ShellArrays arrays_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t count_ = 0;
  size_t total_ = 0;
  std::optional<Error> error_;
  std::optional<NeedsShell> shell_;
};

}  // namespace

Result<Assignments> read_assignments(std::string_view text, const ShellArrays& before) {
  return Reader(text, before).read();
}

std::string plain_value(const ShellArrays& arrays, const std::string& name) {
  const auto array = arrays.find(name);
  if (array == arrays.end()) return {};
  const auto element = array->second.find(0);
  return element == array->second.end() ? std::string() : element->second;
}

}  // namespace driverext
