#include "sys/toml_file.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace driverext {
namespace {
constexpr size_t kMaxConfigSize = size_t{1} << 20;
}

Error config_error(std::string_view file, const toml::source_region& where, std::string_view what) {
  // What was merged from several files knows which one it came from.
  return make_error(Errc::invalid_input, Reason::config_invalid,
                    (where.path ? *where.path : std::string(file)) + ":" + std::to_string(where.begin.line) + ": " +
                        std::string(what));
}

Result<toml::table> parse_toml(std::string_view text, std::string_view file) {
  toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) return config_error(file, parsed.error().source(), parsed.error().description());
  return std::move(parsed).table();
}

Result<toml::table> read_toml(const Dir& root, std::string_view name) {
  TRY(const std::string text, root.read_file(name, kMaxConfigSize));
  return parse_toml(text, root.path_of(name));
}

Result<void> only_keys(const toml::table& table, std::initializer_list<std::string_view> known, std::string_view file) {
  for (const auto& [key, value] : table) {
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      std::string expected;
      for (const std::string_view name : known) expected += (expected.empty() ? "" : ", ") + std::string(name);
      const std::string meant = closest_word(key.str(), known);
      return config_error(file, key.source(),
                          "unknown key \"" + std::string(key.str()) + "\"" +
                              (meant.empty() ? "" : "; did you mean \"" + meant + "\"?") + " (known here: " + expected +
                              ")");
    }
  }
  return {};
}

Result<std::string> toml_string(const toml::table& table, std::string_view key, std::string_view file) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return config_error(file, table.source(), "key \"" + std::string(key) + "\" is missing");
  const auto value = node->value<std::string>();
  if (!node->is_string() || !value)
    return config_error(file, node->source(), "\"" + std::string(key) + "\" is not a string");
  return *value;
}

Result<std::string> toml_optional_string(const toml::table& table, std::string_view key, std::string_view file) {
  if (!table.contains(key)) return std::string();
  return toml_string(table, key, file);
}

Result<std::string> toml_line(const toml::table& table, std::string_view key, std::string_view file) {
  TRY(std::string text, toml_string(table, key, file));
  if (printable(text) == text && text.find('\n') == std::string::npos) return text;
  return config_error(file, table.get(key)->source(),
                      "\"" + std::string(key) + "\" has line breaks or other control characters in it");
}

Result<const toml::table*> toml_table(const toml::table& table, std::string_view key, std::string_view file) {
  const toml::node* node = table.get(key);
  if (node == nullptr || node->is_table()) return node == nullptr ? nullptr : node->as_table();
  return config_error(file, node->source(), "\"" + std::string(key) + "\" is not a table");
}

Result<bool> toml_bool(const toml::table& table, std::string_view key, bool otherwise, std::string_view file) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value<bool>();
  if (!node->is_boolean() || !value) {
    return config_error(file, node->source(), "\"" + std::string(key) + "\" is neither true nor false");
  }
  return *value;
}

Result<std::vector<std::string>> toml_strings(const toml::table& table, std::string_view key, std::string_view file) {
  std::vector<std::string> strings;
  const toml::node* node = table.get(key);
  if (node == nullptr) return strings;
  const toml::array* list = node->as_array();
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto value = list->get(i)->value<std::string>();
    if (!list->get(i)->is_string() || !value) break;
    strings.push_back(*value);
  }
  if (list == nullptr || strings.size() != list->size()) {
    return config_error(file, node->source(), "\"" + std::string(key) + "\" is not a list of strings");
  }
  return strings;
}

Result<std::vector<const toml::table*>> toml_tables(const toml::table& table, std::string_view key,
                                                    std::string_view file) {
  std::vector<const toml::table*> found;
  const toml::node* node = table.get(key);
  if (node == nullptr) return found;
  const toml::array* list = node->as_array();
  if (list == nullptr)
    return config_error(file, node->source(), "\"" + std::string(key) + "\" is not a list of tables");
  for (const toml::node& element : *list) {
    if (!element.is_table())
      return config_error(file, element.source(), "\"" + std::string(key) + "\" is not a list of tables");
    found.push_back(element.as_table());
  }
  return found;
}

Result<std::string> toml_path_below(const toml::table& table, std::string_view key, std::string_view folder,
                                    std::string_view file) {
  TRY(const std::string path, toml_string(table, key, file));
  if (path.starts_with(folder) && !path.ends_with('/') && path.find("/../") == std::string::npos &&
      !path.ends_with("/..")) {
    return path.substr(1);
  }
  return config_error(file, table.source(), "\"" + std::string(key) + "\" is not below " + std::string(folder));
}

}  // namespace driverext
