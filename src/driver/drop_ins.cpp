#include "driver/drop_ins.hpp"

#include <map>
#include <utility>

namespace driverext {
namespace {

// What tells the entries of a list of tables apart.
const std::map<std::string_view, std::string_view> kNames = {
    {"module", "name"}, {"hardware", "name"}, {"daemon", "name"}, {"device", "node"}};

toml::table* entry_named(toml::array& list, std::string_view key, const toml::table& like) {
  const auto name = like[key].value<std::string>();
  if (!name) return nullptr;
  for (toml::node& element : list) {
    toml::table* entry = element.as_table();
    if (entry != nullptr && (*entry)[key].value<std::string>() == name) return entry;
  }
  return nullptr;
}

void merge_list(toml::array& list, toml::array&& entries, std::string_view key) {
  for (toml::node& element : entries) {
    toml::table& entry = *element.as_table();
    if (toml::table* same = entry_named(list, key, entry); same != nullptr) {
      apply_drop_in(*same, std::move(entry));
    } else {
      list.push_back(std::move(entry));
    }
  }
}

}  // namespace

void apply_drop_in(toml::table& definition, toml::table&& drop_in) {
  for (auto&& [key, value] : drop_in) {
    toml::node* there = definition.get(key.str());
    const auto name = kNames.find(key.str());
    const bool both_lists =
        there != nullptr && name != kNames.end() && value.is_array_of_tables() && there->is_array_of_tables();
    if (both_lists) {
      merge_list(*there->as_array(), std::move(*value.as_array()), name->second);
    } else if (there != nullptr && there->is_table() && value.is_table()) {
      apply_drop_in(*there->as_table(), std::move(*value.as_table()));
    } else {
      value.visit([&](auto& node) { definition.insert_or_assign(key, std::move(node)); });
    }
  }
}

}  // namespace driverext
