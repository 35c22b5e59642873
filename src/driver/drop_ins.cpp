#include "driver/drop_ins.hpp"

#include <initializer_list>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace driverext {
namespace {

using Entries = std::vector<toml::table*>;

std::string text_of(const toml::table& entry, std::string_view key) {
  const toml::node* node = entry.get(key);
  if (node == nullptr) return {};
  if (const auto number = node->value_exact<int64_t>()) return std::to_string(*number);
  return node->value<std::string>().value_or("");
}

Entries entries_of(toml::array& list) {
  Entries entries;
  for (toml::node& element : list) {
    if (toml::table* entry = element.as_table(); entry != nullptr) entries.push_back(entry);
  }
  return entries;
}

// Those that say the same of a key as `like`.
Entries same_by(std::string_view key, const Entries& entries, const toml::table& like) {
  Entries same;
  for (toml::table* entry : entries) {
    if (entry->contains(key) && text_of(*entry, key) == text_of(like, key)) same.push_back(entry);
  }
  return same;
}

// The same, by those of the keys that `like` has.
Entries narrowed(std::initializer_list<std::string_view> keys, Entries entries, const toml::table& like) {
  for (const std::string_view key : keys) {
    if (like.contains(key)) entries = same_by(key, entries, like);
  }
  return entries;
}

Entries devices_meant(const Entries& entries, const toml::table& like) {
  if (like.contains("name")) return same_by("name", entries, like);
  if (like.contains("class")) return narrowed({"class", "devices"}, entries, like);
  if (!like.contains("node")) return {};
  const Entries same = same_by("node", entries, like);
  return same.size() > 1 ? narrowed({"each", "minor", "minors"}, same, like) : same;
}

Entries modules_meant(const Entries& entries, const toml::table& like) {
  Entries same;
  for (toml::table* entry : entries) {
    if (module_name_form(text_of(*entry, "name")) == module_name_form(text_of(like, "name"))) same.push_back(entry);
  }
  return same;
}

bool is_list_of_entries(std::string_view list) {
  return list == "module" || list == "hardware" || list == "daemon" || list == "device";
}

Entries meant(std::string_view list, const Entries& entries, const toml::table& like) {
  if (list == "device") return devices_meant(entries, like);
  return list == "module" ? modules_meant(entries, like) : same_by("name", entries, like);
}

// "mig" (/usr/lib/driverext/drivers/nvidia.toml:92)
std::string place_text(const toml::table& entry) {
  const std::string name = text_of(entry, "name");
  const toml::source_region& where = entry.source();
  const std::string place = (where.path ? *where.path : "") + ":" + std::to_string(where.begin.line);
  return name.empty() ? place : "\"" + name + "\" (" + place + ")";
}

Error ambiguous(std::string_view list, const Entries& candidates, const toml::table& like, const std::string& file) {
  std::string text;
  for (const toml::table* entry : candidates) text += (text.empty() ? "" : ", ") + place_text(*entry);
  const std::string how =
      list == "device" ? "; \"name\" says which, or \"each\", \"minor\", \"minors\", \"devices\"" : "";
  return config_error(file, like.source(), "this [[" + std::string(list) + "]] could mean " + text + how);
}

Result<void> merge_list(std::string_view name, toml::array& list, toml::array&& entries, const std::string& file) {
  for (toml::node& element : entries) {
    toml::table& entry = *element.as_table();
    const Entries candidates = meant(name, entries_of(list), entry);
    if (candidates.size() > 1) return ambiguous(name, candidates, entry, file);
    if (candidates.empty()) {
      list.push_back(std::move(entry));
    } else {
      TRY_VOID(apply_drop_in(*candidates.front(), std::move(entry), file));
    }
  }
  return {};
}

}  // namespace

Result<void> apply_drop_in(toml::table& definition, toml::table&& drop_in, const std::string& file) {
  for (auto&& [key, value] : drop_in) {
    toml::node* there = definition.get(key.str());
    const bool both_lists =
        there != nullptr && is_list_of_entries(key.str()) && value.is_array_of_tables() && there->is_array_of_tables();
    if (both_lists) {
      TRY_VOID(merge_list(key.str(), *there->as_array(), std::move(*value.as_array()), file));
    } else if (there != nullptr && there->is_table() && value.is_table()) {
      TRY_VOID(apply_drop_in(*there->as_table(), std::move(*value.as_table()), file));
    } else {
      value.visit([&](auto& node) { definition.insert_or_assign(key, std::move(node)); });
    }
  }
  return {};
}

}  // namespace driverext
