#include "driver/device_rules.hpp"

#include <set>

#include "base/text.hpp"
#include "driver/definition_parts.hpp"
#include "driver/proc_files.hpp"

namespace driverext {
namespace {

constexpr unsigned kMaxWaitSeconds = 300;
constexpr size_t kMaxRanges = 64;

Error bad(const toml::table& entry, const std::string& file, std::string_view what) {
  return config_error(file, entry.source(), what);
}

Result<DeviceCondition> parse_condition(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"exists", "file", "key", "is", "is_not"}, file));
  DeviceCondition condition;
  if (entry.contains("exists")) {
    TRY_VOID(only_keys(entry, {"exists"}, file));
    const auto folder = entry["exists"].value<std::string>().value_or("").starts_with("/sys/") ? "/sys/" : "/proc/";
    TRY(condition.file, toml_path_below(entry, "exists", folder, file));
    return condition;
  }
  TRY(condition.file, toml_path_below(entry, "file", "/proc/", file));
  TRY(condition.key, toml_string(entry, "key", file));
  if (entry.contains("is") == entry.contains("is_not")) {
    return bad(entry, file, "a condition has either \"exists\" or \"file\" and \"key\" with \"is\" or \"is_not\"");
  }
  condition.kind = entry.contains("is") ? DeviceCondition::Kind::is : DeviceCondition::Kind::is_not;
  TRY(condition.value, toml_string(entry, entry.contains("is") ? "is" : "is_not", file));
  return condition;
}

// One table, or a list of them.
Result<std::vector<DeviceCondition>> parse_conditions(const toml::table& entry, const std::string& file) {
  std::vector<const toml::table*> tables;
  const toml::node* when = entry.get("when");
  if (when != nullptr && when->is_table()) {
    tables.push_back(when->as_table());
  } else {
    TRY(tables, toml_tables(entry, "when", file));
  }
  std::vector<DeviceCondition> conditions;
  for (const toml::table* table : tables) {
    TRY(DeviceCondition condition, parse_condition(*table, file));
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

// "0660": a TOML number would be taken for a decimal one.
Result<void> parse_mode(const toml::table& entry, const std::string& file, DefinedDevice& device) {
  if (!entry.contains("mode")) return {};
  TRY(const std::string text, toml_string(entry, "mode", file));
  constexpr unsigned kOctal = 8;
  unsigned mode = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '7' || mode > 0777) return bad(entry, file, "\"mode\" is not of the form \"0660\"");
    mode = mode * kOctal + static_cast<unsigned>(digit - '0');
  }
  if (text.size() < 3 || mode > 0777) return bad(entry, file, "\"mode\" is not of the form \"0660\"");
  device.mode = mode;
  return {};
}

Result<void> parse_wait(const toml::table& entry, const std::string& file, DefinedDevice& device) {
  if (!entry.contains("wait")) return {};
  const auto seconds = entry["wait"].value<int64_t>();
  if (!entry["wait"].is_integer() || *seconds < 0 || *seconds > kMaxWaitSeconds) {
    return bad(entry, file, "\"wait\" is not a number of seconds up to " + std::to_string(kMaxWaitSeconds));
  }
  device.wait_sec = static_cast<unsigned>(*seconds);
  return {};
}

Result<DefinedDevice> parse_device(const toml::table& entry, const std::string& file) {
  DefinedDevice device;
  TRY(device.name, toml_optional_string(entry, "name", file));
  TRY(device.optional, toml_bool(entry, "optional", false, file));
  TRY_VOID(parse_mode(entry, file, device));
  TRY(device.group, toml_optional_string(entry, "group", file));
  TRY_VOID(parse_wait(entry, file, device));
  if (entry.contains("class")) {
    TRY_VOID(only_keys(entry, {"name", "class", "devices", "drivers", "virtual", "optional", "mode", "group", "wait"},
                       file));
    TRY(const std::string name, toml_string(entry, "class", file));
    if (!check_name("class", name)) return bad(entry, file, "\"class\" is not the name of a folder in /sys/class");
    device.device_class = "sys/class/" + name;
    TRY(device.names, toml_optional_string(entry, "devices", file));
    TRY(device.drivers, toml_strings(entry, "drivers", file));
    TRY(device.only_virtual, toml_bool(entry, "virtual", false, file));
    return device;
  }
  if (entry.contains("misc")) {
    TRY_VOID(only_keys(entry, {"name", "node", "misc", "optional", "mode", "group", "wait"}, file));
    TRY(device.misc, toml_string(entry, "misc", file));
  } else {
    TRY_VOID(only_keys(entry, {"name", "node", "sysfs", "optional", "mode", "group", "wait"}, file));
  }
  TRY(device.node, toml_path_below(entry, "node", "/dev/", file));
  if (!device.misc.empty()) return device;
  TRY(const std::string sysfs, toml_path_below(entry, "sysfs", "/sys/", file));
  device.sysfs_number = sysfs + "/dev";
  return device;
}

// "0-3,8"
Result<std::vector<MinorRange>> parse_minors(const toml::table& entry, const std::string& file) {
  TRY(const std::string text, toml_string(entry, "minors", file));
  std::vector<MinorRange> ranges;
  for (const std::string& part : split(text, ',')) {
    const size_t dash = part.find('-');
    const auto first = decimal_number(part.substr(0, dash));
    const auto last = dash == std::string::npos ? first : decimal_number(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last > kMaxMinor || ranges.size() == kMaxRanges) {
      return bad(entry, file, "\"minors\" is not of the form \"0-3,8\"");
    }
    ranges.push_back({*first, *last});
  }
  return ranges;
}

Result<void> parse_count(const toml::table& entry, const std::string& file, DefinedNode& node) {
  TRY(const toml::table* count, toml_table(entry, "count", file));
  if (count == nullptr) return {};
  TRY_VOID(only_keys(*count, {"file", "key"}, file));
  TRY(node.count_file, toml_path_below(*count, "file", "/proc/", file));
  TRY(node.count_key, toml_string(*count, "key", file));
  return {};
}

Result<void> parse_each(const toml::table& entry, const std::string& file, DefinedNode& node) {
  TRY(node.each, toml_path_below(entry, "each", "/proc/", file));
  // A folder of its own for the driver: nobody walks through all of /proc.
  const size_t star = node.each.find_first_of("*?[");
  if (node.each.substr(0, star).find('/', std::string_view("proc/").size()) == std::string::npos) {
    return bad(entry, file, "\"each\" is not of the form /proc/FOLDER/*/FILE");
  }
  if (node.each.ends_with("**")) return bad(entry, file, "\"each\" ends in \"**\", which stands for folders");
  TRY(const bool counted, toml_bool(entry, "counted", false, file));
  if (!counted) {
    TRY(node.minor_key, toml_string(entry, "minor", file));
  } else if (entry.contains("minor")) {
    return bad(entry, file, "\"minor\" has no meaning where devices are \"counted\"");
  }
  TRY(node.name_keys, toml_strings(entry, "names", file));
  return {};
}

// Which minors there are.
Result<void> parse_numbers(const toml::table& entry, const std::string& file, DefinedNode& node) {
  if (entry.contains("each")) {
    TRY_VOID(parse_each(entry, file, node));
  } else if (entry.contains("minors")) {
    TRY(node.minors, parse_minors(entry, file));
    TRY_VOID(parse_count(entry, file, node));
  } else {
    const auto minor = entry["minor"].value<int64_t>();
    if (!entry["minor"].is_integer() || *minor < 0 || *minor > kMaxMinor) {
      return bad(entry, file, "\"minor\" is not a number; only with \"each\" is it a key");
    }
    node.minor = static_cast<unsigned>(*minor);
  }
  // In its last part: the folders are made before it is known which nodes there are.
  const size_t place = node.node.find(kMinorPlace);
  const bool fits = place != std::string::npos && place > node.node.rfind('/') && node.node.rfind(kMinorPlace) == place;
  if (!node.minor && !fits) return bad(entry, file, "\"node\" must contain {minor}: there can be several");
  if (node.minor && place != std::string::npos)
    return bad(entry, file, "\"node\" contains {minor}, but \"minor\" is one");
  return {};
}

Result<DefinedNode> parse_node(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry,
                     {"name", "node", "registered_as", "minor", "minors", "count", "each", "counted", "names",
                      "permissions", "optional", "when", "containers"},
                     file));
  DefinedNode node;
  TRY(node.name, toml_optional_string(entry, "name", file));
  TRY(node.node, toml_path_below(entry, "node", "/dev/", file));
  TRY(node.registered_as, toml_strings(entry, "registered_as", file));
  if (node.registered_as.empty()) return bad(entry, file, "\"registered_as\" names nothing in /proc/devices");
  TRY(node.optional, toml_bool(entry, "optional", false, file));
  TRY(node.in_containers, toml_bool(entry, "containers", true, file));
  if (entry.contains("permissions")) {
    TRY(node.permissions, toml_path_below(entry, "permissions", "/proc/", file));
  }
  TRY(node.conditions, parse_conditions(entry, file));
  TRY_VOID(parse_numbers(entry, file, node));
  return node;
}

}  // namespace

std::string node_name(const std::string& pattern, unsigned minor) {
  std::string name = pattern;
  if (const size_t place = name.find(kMinorPlace); place != std::string::npos) {
    name.replace(place, kMinorPlace.size(), std::to_string(minor));
  }
  return name;
}

std::optional<unsigned> minor_in_name(std::string_view pattern, std::string_view name) {
  const size_t place = pattern.find(kMinorPlace);
  if (place == std::string_view::npos) return pattern == name ? std::optional(0U) : std::nullopt;
  const std::string_view head = pattern.substr(0, place);
  const std::string_view tail = pattern.substr(place + kMinorPlace.size());
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) return std::nullopt;
  const std::string_view digits = name.substr(head.size(), name.size() - head.size() - tail.size());
  const auto minor = decimal_number(digits);
  // "x03" is not how a number is written.
  return minor && std::to_string(*minor) == digits ? minor : std::nullopt;
}

Result<DeviceRules> parse_device_rules(const toml::table& definition, const std::string& file) {
  DeviceRules rules;
  TRY(const auto devices, toml_tables(definition, "device", file));
  std::set<std::string> names;
  for (const toml::table* entry : devices) {
    const std::string name = (*entry)["name"].value<std::string>().value_or("");
    if (!name.empty() && !names.insert(name).second) {
      return bad(*entry, file, "there is a [[device]] \"" + name + "\" already");
    }
    if (entry->contains("registered_as")) {
      TRY(DefinedNode node, parse_node(*entry, file));
      rules.made_here.push_back(std::move(node));
    } else {
      TRY(DefinedDevice device, parse_device(*entry, file));
      rules.made_by_kernel.push_back(std::move(device));
    }
  }
  return rules;
}

}  // namespace driverext
