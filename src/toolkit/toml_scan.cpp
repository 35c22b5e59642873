#include "toolkit/toml_scan.hpp"

#include <algorithm>

#include "sys/toml_file.hpp"

namespace driverext {
namespace {

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Result<std::vector<TomlStatement>> all() {
    std::vector<TomlStatement> statements;
    std::vector<std::string> table;
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    while (at_ < text_.size()) {
      TRY(TomlStatement statement, one(table));
      if (statement.kind == TomlStatement::Kind::table || statement.kind == TomlStatement::Kind::table_array) {
        table = statement.path;
      }
      statements.push_back(std::move(statement));
    }
    return statements;
  }

 private:
  using Kind = TomlStatement::Kind;

  [[nodiscard]] char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\n'; }
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] Error refuse(std::string_view what) const {
    return refuse_config(text_, std::min(at_, text_.size()), what);
  }

  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }
  // Blanks, line breaks and comments.
  void skip_lines() {
    while (!at_end()) {
      skip_blanks();
      if (peek() == '#') skip_to_line_end();
      if (peek() != '\n' && !text_.substr(at_).starts_with("\r\n")) return;
      at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
    }
  }
  void skip_to_line_end() { at_ = std::min(text_.find('\n', at_), text_.size()); }

  Result<TomlStatement> one(const std::vector<std::string>& table) {
    TomlStatement statement;
    statement.line.begin = at_;
    skip_blanks();
    statement.content.begin = at_;
    if (peek() == '[') {
      TRY_VOID(header(statement));
    } else if (peek() == '#') {
      statement.kind = Kind::comment;
      skip_to_line_end();
    } else if (peek() != '\n' && !text_.substr(at_).starts_with("\r\n")) {
      statement.path = table;
      TRY_VOID(key_value(statement));
    }
    if (statement.kind != Kind::key_value) statement.content.end = at_;
    skip_blanks();
    if (peek() == '#') skip_to_line_end();
    if (peek() == '\r') ++at_;
    if (peek() != '\n') return refuse("the line should end here");
    if (!at_end()) ++at_;
    statement.line.end = at_;
    return statement;
  }

  Result<void> header(TomlStatement& statement) {
    ++at_;
    statement.kind = peek() == '[' ? Kind::table_array : Kind::table;
    const std::string_view closing = statement.kind == Kind::table_array ? "]]" : "]";
    at_ += closing.size() - 1;
    TRY(statement.first_key, keys(statement.path));
    if (!text_.substr(at_).starts_with(closing)) return refuse("a table's name should end here");
    at_ += closing.size();
    return {};
  }

  Result<void> key_value(TomlStatement& statement) {
    statement.kind = Kind::key_value;
    TRY(statement.first_key, keys(statement.path));
    if (peek() != '=') return refuse("\"=\" is missing");
    ++at_;
    skip_blanks();
    statement.content.begin = at_;
    TRY_VOID(value(0));
    statement.content.end = at_;
    return {};
  }

  // A dotted key, with the blanks around it. Returns where its first part stands.
  Result<TextSpan> keys(std::vector<std::string>& path) {
    TextSpan first;
    for (int parts = 1;; ++parts) {
      // toml++ goes down one call a level: a hundred thousand of them end the program.
      if (parts > kMaxEngineConfigDepth) return refuse("a key has too many parts");
      skip_blanks();
      const size_t begin = at_;
      TRY(std::string key, one_key());
      path.push_back(std::move(key));
      if (parts == 1) first = {begin, at_};
      skip_blanks();
      if (peek() != '.') return first;
      ++at_;
    }
  }

  Result<std::string> one_key() {
    const size_t begin = at_;
    if (peek() == '"' || peek() == '\'') {
      if (peek(1) == peek() && peek(2) == peek()) return refuse("a key is no multi-line string");
      TRY_VOID(string());
      const std::string_view literal = text_.substr(begin, at_ - begin);
      if (literal.find('\\') == std::string_view::npos) return std::string(literal.substr(1, literal.size() - 2));
      const toml::parse_result parsed = toml::parse("k=" + std::string(literal));
      if (!parsed || !parsed.table()["k"].is_string()) return refuse("not a key in quotes");
      return parsed.table()["k"].value_or(std::string());
    }
    while (is_bare(peek())) ++at_;
    if (at_ == begin) return refuse("a key belongs here");
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<void> value(int depth) {
    if (peek() == '"' || peek() == '\'') return string();
    const bool nests = peek() == '[' || peek() == '{';
    if (nests && depth >= kMaxEngineConfigDepth) return refuse("nested too deep");
    if (peek() == '[') return array(depth);
    if (peek() == '{') return inline_table(depth);
    // Numbers, dates, true: which one is left to toml++. A date and its time may have a blank between them.
    const size_t begin = at_;
    while (is_bare(peek()) || (peek() != '\n' && std::string_view("+.:").find(peek()) != std::string_view::npos) ||
           (peek() == ' ' && at_ - begin == 10 && peek(1) >= '0' && peek(1) <= '9')) {
      ++at_;
    }
    return at_ == begin ? refuse("a value belongs here") : Result<void>();
  }

  Result<void> array(int depth) {
    ++at_;
    while (true) {
      skip_lines();
      if (peek() == ']') break;
      TRY_VOID(value(depth + 1));
      skip_lines();
      if (peek() == ']') break;
      if (peek() != ',') return refuse("a comma or the closing bracket belongs here");
      ++at_;
    }
    ++at_;
    return {};
  }

  Result<void> inline_table(int depth) {
    ++at_;
    skip_blanks();
    while (peek() != '}') {
      std::vector<std::string> path;
      TRY_VOID(keys(path));
      if (peek() != '=') return refuse("\"=\" is missing");
      ++at_;
      skip_blanks();
      TRY_VOID(value(depth + 1));
      skip_blanks();
      if (peek() == '}') break;
      if (peek() != ',') return refuse("a comma or the closing brace belongs here");
      ++at_;
    }
    ++at_;
    return {};
  }

  // Behind a backslash stands a letter, or the rest of a line that goes on in the next one. (toml++ 3.3 asks there
  // whether a character is white space, in a way that is undefined for U+00A1 and others.)
  Result<void> escaped() const {
    const size_t next = text_.find_first_not_of(" \t\r\n", at_);
    if (next == std::string_view::npos || static_cast<unsigned char>(text_[next]) < 0x80) return {};
    return refuse_config(text_, next, "only ASCII is understood behind a backslash");
  }

  // Any of the four kinds.
  Result<void> string() {
    const char quote = peek();
    const std::string_view closing = quote == '"' ? R"(""")" : "'''";
    const bool long_one = text_.substr(at_).starts_with(closing);
    at_ += long_one ? 3 : 1;
    while (!at_end() && (long_one || peek() != '\n')) {
      if (quote == '"' && peek() == '\\') {
        ++at_;
        TRY_VOID(escaped());
      } else if (!long_one && peek() == quote) {
        ++at_;
        return {};
      } else if (long_one && text_.substr(at_).starts_with(closing)) {
        at_ += closing.size();
        // One or two quotes may stand in front of the closing three.
        for (int extra = 0; extra < 2 && !at_end() && peek() == quote; ++extra) ++at_;
        return {};
      }
      ++at_;
    }
    return refuse("a string does not end");
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Result<std::vector<TomlStatement>> scan_toml(std::string_view text) { return Scanner(text).all(); }

}  // namespace driverext
