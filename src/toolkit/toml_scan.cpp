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
    TRY_VOID(keys(statement));
    if (!text_.substr(at_).starts_with(closing)) return refuse("a table's name should end here");
    at_ += closing.size();
    return {};
  }

  Result<void> key_value(TomlStatement& statement) {
    statement.kind = Kind::key_value;
    TRY_VOID(keys(statement));
    if (peek() != '=') return refuse("\"=\" is missing");
    ++at_;
    skip_blanks();
    statement.content.begin = at_;
    TRY_VOID(value());
    statement.content.end = text_.find_last_not_of(" \t\r\n", at_ - 1) + 1;
    return {};
  }

  // A dotted key, with the blanks around it.
  Result<void> keys(TomlStatement& statement) {
    while (true) {
      skip_blanks();
      const size_t begin = at_;
      TRY(std::string key, one_key());
      statement.path.push_back(std::move(key));
      if (statement.own_keys++ == 0) statement.first_key = {begin, at_};
      // toml++ goes down one call a level: a hundred thousand of them end the program.
      if (statement.own_keys > kMaxEngineConfigDepth) return refuse("a key has too many parts");
      skip_blanks();
      if (peek() != '.') return {};
      ++at_;
    }
  }

  Result<std::string> one_key() {
    const size_t begin = at_;
    if (peek() == '"' || peek() == '\'') {
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

  // To the end of its line, or the comment behind it. Keys in inline tables count by their dots.
  Result<void> value() {
    int depth = 0;
    int dots = 0;
    while (!at_end()) {
      const char c = peek();
      if (depth == 0 && (c == '\n' || c == '#')) return {};
      if (c == '"' || c == '\'') {
        TRY_VOID(string());
        continue;
      }
      if (c == '#') {
        skip_to_line_end();
        continue;
      }
      // toml++ 3.3 asks whether such a character is white space in a way that is undefined for U+00A1 and others.
      if (static_cast<unsigned char>(c) >= 0x80) return refuse("not ASCII, and neither in quotes nor in a comment");
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
      if (c == '.') ++dots;
      if (c == ',' || c == '=' || c == '{' || c == '\n') dots = 0;
      if (depth < 0) return refuse("a bracket that nothing opened");
      if (depth > kMaxEngineConfigDepth || dots > kMaxEngineConfigDepth) return refuse("nested too deep");
      ++at_;
    }
    return depth == 0 ? Result<void>() : refuse("the text ends inside of a value");
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
