#include "toolkit/toolkit_config.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "sys/toml_file.hpp"
#include "toolkit/edit.hpp"
#include "toolkit/toml_scan.hpp"

namespace driverext {
namespace {

using Kind = TomlStatement::Kind;
using Statements = std::vector<TomlStatement>;

constexpr size_t kNone = std::string::npos;

struct Setting {
  const std::string& table;
  const std::string& key;
  const std::string& value;

  [[nodiscard]] std::string quoted_value() const {
    std::string text = "\"";
    for (const char c : value) text += (c == '"' || c == '\\') ? std::string{'\\', c} : std::string(1, c);
    return text + '"';
  }
  [[nodiscard]] std::string line() const { return key + " = " + quoted_value(); }
};

Result<void> check_key(std::string_view what, const std::string& key) {
  const bool fine = !key.empty() && key.size() <= 128 && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (fine) return {};
  return make_error(Errc::invalid_input, std::string(what) + " \"" + key.substr(0, 160) + "\" is not a bare TOML key");
}

bool is_header(const TomlStatement& statement) {
  return statement.kind == Kind::table || statement.kind == Kind::table_array;
}

std::string indent_of(std::string_view text, const TomlStatement& statement) {
  const std::string_view line = statement.line.in(text);
  return std::string(line.substr(0, line.find_first_not_of(" \t")));
}

// The kind of line break to use next to a statement: its own, else that of the file.
std::string newline_at(std::string_view text, const TomlStatement* statement) {
  std::string_view like = statement != nullptr ? statement->line.in(text) : "";
  if (!like.ends_with('\n')) like = text.substr(0, text.find('\n') == kNone ? 0 : text.find('\n') + 1);
  return like.ends_with("\r\n") ? "\r\n" : "\n";
}

// A line of its own behind a statement. The file ends as it ended, with a line break or without.
TextEdit line_behind(std::string_view text, const TomlStatement& statement, const std::string& line) {
  const std::string newline = newline_at(text, &statement);
  const size_t at = statement.line.end;
  if (statement.line.in(text).ends_with('\n')) return {{at, at}, line + newline};
  return {{at, at}, newline + line};
}

// "#key = default", as the file is shipped.
bool shows_default(std::string_view text, const TomlStatement& statement, const std::string& key) {
  if (statement.kind != Kind::comment) return false;
  std::string_view rest = trim(statement.content.in(text).substr(1));
  if (!rest.starts_with(key)) return false;
  rest = trim(rest.substr(key.size()));
  return rest.starts_with('=');
}

// Into the table whose header is statements[header].
TextEdit edit_table(std::string_view text, const Statements& statements, size_t header, const Setting& setting) {
  size_t end = header + 1;
  size_t like = header;  // what to indent like
  while (end < statements.size() && !is_header(statements[end])) {
    if (shows_default(text, statements[end], setting.key)) {
      return line_behind(text, statements[end], indent_of(text, statements[end]) + setting.line());
    }
    if (statements[end].kind == Kind::key_value) like = end;
    ++end;
  }
  size_t last = end - 1;
  // Comments right above the next header are about that one.
  while (end < statements.size() && last > header && statements[last].kind == Kind::comment) --last;
  while (last > header && statements[last].kind == Kind::blank) --last;
  return line_behind(text, statements[last], indent_of(text, statements[like]) + setting.line());
}

TextEdit append_table(std::string_view text, const Statements& statements, const Setting& setting) {
  const TomlStatement* last = statements.empty() ? nullptr : &statements.back();
  const std::string newline = newline_at(text, last);
  std::string added;
  if (last != nullptr && !last->line.in(text).ends_with('\n')) added += newline;
  if (last != nullptr && last->kind != Kind::blank) added += newline;
  added += "[" + setting.table + "]" + newline + setting.line() + newline;
  return {{text.size(), text.size()}, added};
}

// The key is not there. Which of the ways to write a table is the one that this file uses?
Result<TextEdit> add_key(std::string_view text, const Statements& statements, const Setting& setting) {
  const TomlStatement* dotted = nullptr;
  bool top = true;
  for (size_t i = 0; i < statements.size(); ++i) {
    const TomlStatement& statement = statements[i];
    top = top && !is_header(statement);
    if (statement.path.empty() || statement.path.front() != setting.table) continue;
    if (statement.kind == Kind::table && statement.path.size() == 1) {
      return edit_table(text, statements, i, setting);
    }
    if (!top || statement.kind != Kind::key_value) continue;
    if (statement.path.size() == 1) {
      return refuse_config(text, statement.content.begin,
                           setting.table + " is an inline table; write it as [" + setting.table + "]");
    }
    dotted = &statement;
  }
  if (dotted == nullptr) return append_table(text, statements, setting);
  // A header would define the table a second time: one more dotted key then, with the table spelt as it is there.
  return line_behind(text, *dotted,
                     indent_of(text, *dotted) + std::string(dotted->first_key.in(text)) + "." + setting.line());
}

Result<toml::table> parsed(std::string_view text) {
  auto table = parse_toml(text, "TOML");
  if (!table) table.error().reason = Reason::toolkit_config_invalid;
  return table;
}

Result<std::optional<TextEdit>> find_edit(std::string_view text, const Statements& statements,
                                          const toml::table& document, const Setting& setting) {
  const std::string name = "\"" + setting.key + "\" of [" + setting.table + "]";
  const toml::node* table = document.get(setting.table);
  const auto position = [&](size_t keys) {
    const auto found = std::find_if(statements.begin(), statements.end(), [&](const TomlStatement& statement) {
      return statement.path.size() >= keys && statement.path[0] == setting.table &&
             (keys < 2 || statement.path[1] == setting.key);
    });
    return found == statements.end() ? 0 : found->line.begin;
  };
  if (table != nullptr && !table->is_table()) {
    return refuse_config(text, position(1), "\"" + setting.table + "\" is not one table");
  }
  const toml::node* node = table != nullptr ? table->as_table()->get(setting.key) : nullptr;
  if (node == nullptr) {
    TRY(TextEdit edit, add_key(text, statements, setting));
    return std::optional(std::move(edit));
  }
  if (node->is_table() || node->is_array()) return refuse_config(text, position(2), name + " is not a plain value");
  if (node->is_string() && node->value_or(std::string()) == setting.value) return std::optional<TextEdit>();
  for (const TomlStatement& statement : statements) {
    const bool is_it = statement.kind == Kind::key_value && statement.path.size() == 2 &&
                       statement.path[0] == setting.table && statement.path[1] == setting.key;
    if (is_it) return std::optional(TextEdit{statement.content, setting.quoted_value()});
  }
  return refuse_config(text, position(1), name + " stands in an inline table; write it as [" + setting.table + "]");
}

}  // namespace

Result<std::string> with_toml_string(std::string_view text, const std::string& table, const std::string& key,
                                     const std::string& value) {
  TRY_VOID(check_key("table", table));
  TRY_VOID(check_key("key", key));
  TRY_VOID(check_config_value("value", value));
  TRY_VOID(check_config_size(text));
  const Setting setting{table, key, value};
  TRY(const Statements statements, scan_toml(text));
  TRY(toml::table before, parsed(text));
  TRY(const std::optional<TextEdit> edit, find_edit(text, statements, before, setting));
  if (!edit) return std::string(text);
  std::string result = apply_edit(text, *edit);
  TRY_VOID(check_config_size(result));

  // The judge over the edit: what toml++ reads now is what it read before with this one value set.
  const auto after = parsed(result);
  if (!after) return refuse_edit("the edited configuration is no TOML: " + after.error().what);
  if (!before.contains(table)) before.insert(table, toml::table{});
  before[table].as_table()->insert_or_assign(key, value);
  if (before != *after) return refuse_edit("the edit changed more than [" + table + "] " + key);
  return result;
}

}  // namespace driverext
