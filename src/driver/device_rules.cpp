#include "driver/definition_parts.hpp"

namespace driverext {
namespace {

constexpr std::string_view kEach = "/*/";
constexpr unsigned kMaxMinor = (1U << 20) - 1;

Result<DefinedDevice> parse_device(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"node", "sysfs"}, file));
  DefinedDevice device;
  TRY(device.node, toml_path_below(entry, "node", "/dev/", file));
  TRY(const std::string sysfs, toml_path_below(entry, "sysfs", "/sys/", file));
  device.sysfs_number = sysfs + "/dev";
  return device;
}

// "/proc/driver/x/*/information": the folder, and the file in each folder below it.
Result<void> parse_each(const toml::table& entry, const std::string& file, DefinedNode& node) {
  TRY(const std::string pattern, toml_path_below(entry, "each", "/proc/", file));
  const size_t star = pattern.find(kEach);
  node.each = pattern.substr(0, star);
  if (star != std::string::npos) node.file = pattern.substr(star + kEach.size());
  if (node.file.empty() || node.file.find('*') != std::string::npos || node.file.find('/') != std::string::npos) {
    return config_error(file, entry.source(), "\"each\" is not of the form /proc/FOLDER/*/FILE");
  }
  TRY(node.minor_key, toml_string(entry, "minor", file));
  TRY(node.name_keys, toml_strings(entry, "names", file));
  if (node.node.find("{minor}") == std::string::npos) {
    return config_error(file, entry.source(), "\"node\" must contain {minor}: there is one for each device");
  }
  return {};
}

Result<DefinedNode> parse_node(const toml::table& entry, const std::string& file) {
  TRY_VOID(only_keys(entry, {"node", "registered_as", "minor", "each", "names", "permissions", "optional"}, file));
  DefinedNode node;
  TRY(node.node, toml_path_below(entry, "node", "/dev/", file));
  TRY(node.registered_as, toml_strings(entry, "registered_as", file));
  if (node.registered_as.empty()) {
    return config_error(file, entry.source(), "\"registered_as\" names nothing in /proc/devices");
  }
  TRY(node.optional, toml_bool(entry, "optional", false, file));
  if (entry.contains("permissions")) {
    TRY(node.permissions, toml_path_below(entry, "permissions", "/proc/", file));
  }
  if (entry.contains("each")) {
    TRY_VOID(parse_each(entry, file, node));
    return node;
  }
  const auto minor = entry["minor"].value<int64_t>();
  if (!entry["minor"].is_integer() || *minor < 0 || *minor > kMaxMinor) {
    return config_error(file, entry.source(), "\"minor\" is not a number; only with \"each\" is it a key");
  }
  node.minor = static_cast<unsigned>(*minor);
  return node;
}

}  // namespace

Result<DeviceRules> parse_device_rules(const toml::table& definition, const std::string& file) {
  DeviceRules rules;
  TRY(const auto devices, toml_tables(definition, "device", file));
  for (const toml::table* entry : devices) {
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
