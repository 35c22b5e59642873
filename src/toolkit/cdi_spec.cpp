#include "toolkit/cdi_spec.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/json.hpp"

namespace driverext {
namespace {

constexpr std::string_view kAllDevices = "all";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_letter(c) || is_digit(c); }

Error refuse(std::string_view what, std::string_view text, std::string_view why) {
  return make_error(Errc::invalid_input,
                    std::string(what) + " \"" + std::string(text.substr(0, 160)) + "\" " + std::string(why));
}

bool is_name(std::string_view name, std::string_view punctuation) {
  return !name.empty() && name.size() <= 128 && is_alphanumeric(name.front()) && is_alphanumeric(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_alphanumeric(c) || punctuation.find(c) != std::string_view::npos; });
}

Result<void> check_kind(const std::string& kind) {
  const size_t slash = kind.find('/');
  const std::string vendor = kind.substr(0, slash);
  const std::string device_class = slash == std::string::npos ? "" : kind.substr(slash + 1);
  for (const std::string& part : {vendor, device_class}) {
    if (!is_name(part, "_-.") || !is_letter(part.front())) {
      return refuse("kind", kind, "is not VENDOR/CLASS of letters, digits and _-., each beginning with a letter");
    }
  }
  return {};
}

// Printable ASCII: the loader reads JSON as YAML, which has other rules about what lies beyond.
Result<void> check_text(std::string_view what, const std::string& text) {
  const bool fine =
      text.size() < 4096 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (fine) return {};
  return refuse(what, text, "is too long or not printable ASCII");
}

Result<void> check_path(const std::string& path) {
  TRY_VOID(check_text("path", path));
  const std::string parts = path + "/";
  const bool plain = path.size() > 1 && path.front() == '/' && parts.find("//") == std::string::npos &&
                     parts.find("/./") == std::string::npos && parts.find("/../") == std::string::npos;
  if (plain) return {};
  return refuse("path", path, "is not absolute and plain");
}

// Sorted, and each once. Two at the same place that differ are an error: the engine would keep one of them in silence.
template <class Item, class Place>
Result<std::vector<Item>> in_order(std::vector<Item> items, Place place) {
  std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) { return place(a) < place(b); });
  items.erase(std::unique(items.begin(), items.end()), items.end());
  const auto twice = std::adjacent_find(items.begin(), items.end(),
                                        [&](const Item& a, const Item& b) { return place(a) == place(b); });
  if (twice != items.end()) return refuse("path", place(*twice), "is asked for in two ways");
  return items;
}

Result<std::vector<CdiNode>> nodes_in_order(std::vector<CdiNode> nodes) {
  for (CdiNode& node : nodes) {
    TRY_VOID(check_path(node.path));
    if (node.host_path) TRY_VOID(check_path(*node.host_path));
    if (node.host_path == node.path) node.host_path.reset();
    node.mode &= 0777;
  }
  return in_order(std::move(nodes), [](const CdiNode& node) -> const std::string& { return node.path; });
}

OrderedJson nodes_json(const std::vector<CdiNode>& nodes) {
  OrderedJson list = OrderedJson::array();
  for (const CdiNode& node : nodes) {
    OrderedJson object = {{"path", node.path}};
    if (node.host_path) object["hostPath"] = *node.host_path;
    object["type"] = "c";
    object["fileMode"] = node.mode;
    object["permissions"] = "rwm";
    if (node.uid != 0) object["uid"] = node.uid;
    if (node.gid != 0) object["gid"] = node.gid;
    list.push_back(std::move(object));
  }
  return list;
}

OrderedJson device_json(std::string_view name, const std::vector<CdiNode>& nodes) {
  return {{"name", name}, {"containerEdits", {{"deviceNodes", nodes_json(nodes)}}}};
}

OrderedJson mounts_json(const std::vector<CdiMount>& mounts) {
  OrderedJson list = OrderedJson::array();
  for (const CdiMount& mount : mounts) {
    list.push_back({{"hostPath", mount.host_path},
                    {"containerPath", mount.container_path},
                    {"options", {"ro", "nosuid", "nodev", "rbind", "rprivate"}}});
  }
  return list;
}

Result<void> check_environment(const std::vector<std::string>& environment) {
  std::set<std::string> names;
  for (const std::string& variable : environment) {
    TRY_VOID(check_text("variable", variable));
    const size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) return refuse("variable", variable, "is not NAME=value");
    if (!names.insert(variable.substr(0, equals)).second) return refuse("variable", variable, "is set twice");
  }
  return {};
}

struct CdiFeatures {
  bool host_path = false;
  bool name_with_digit = false;
  bool class_with_dot = false;
};

std::string lowest_version(CdiFeatures used) {
  if (used.class_with_dot) return "0.6.0";
  if (used.host_path || used.name_with_digit) return "0.5.0";
  return "0.3.0";
}

}  // namespace

Result<std::string> format_cdi_spec(const CdiSpec& spec) {
  TRY_VOID(check_kind(spec.kind));
  TRY_VOID(check_environment(spec.environment));
  if (spec.devices.empty()) return make_error(Errc::invalid_input, "a CDI specification without devices");

  CdiFeatures used;
  used.class_with_dot = spec.kind.find('.', spec.kind.find('/')) != std::string::npos;
  const auto look_at = [&](const std::vector<CdiNode>& nodes) {
    used.host_path = used.host_path || std::any_of(nodes.begin(), nodes.end(),
                                                   [](const CdiNode& node) { return node.host_path.has_value(); });
  };
  OrderedJson devices = OrderedJson::array();
  std::set<std::string_view> names = {kAllDevices};
  std::vector<CdiNode> all_nodes;
  for (const CdiDevice& device : spec.devices) {
    if (device.names.empty()) return make_error(Errc::invalid_input, "a CDI device without a name");
    if (device.nodes.empty()) return refuse("device", device.names.front(), "has no nodes");
    TRY(const std::vector<CdiNode> nodes, nodes_in_order(device.nodes));
    look_at(nodes);
    for (const std::string& name : device.names) {
      if (!is_name(name, "_-.:")) return refuse("device", name, "is not a name of letters, digits and _-.:");
      if (!names.insert(name).second) return refuse("device", name, "is a name that stands there twice");
      used.name_with_digit = used.name_with_digit || is_digit(name.front());
      devices.push_back(device_json(name, nodes));
    }
    all_nodes.insert(all_nodes.end(), nodes.begin(), nodes.end());
  }
  TRY(all_nodes, nodes_in_order(std::move(all_nodes)));
  devices.push_back(device_json(kAllDevices, all_nodes));

  TRY(const std::vector<CdiNode> common_nodes, nodes_in_order(spec.common_nodes));
  look_at(common_nodes);
  for (const CdiMount& mount : spec.mounts) {
    TRY_VOID(check_path(mount.host_path));
    TRY_VOID(check_path(mount.container_path));
  }
  TRY(const std::vector<CdiMount> mounts,
      in_order(spec.mounts, [](const CdiMount& mount) -> const std::string& { return mount.container_path; }));

  OrderedJson edits = OrderedJson::object();
  if (!spec.environment.empty()) edits["env"] = spec.environment;
  if (!common_nodes.empty()) edits["deviceNodes"] = nodes_json(common_nodes);
  if (!mounts.empty()) edits["mounts"] = mounts_json(mounts);

  OrderedJson object = {{"cdiVersion", lowest_version(used)}, {"kind", spec.kind}, {"devices", std::move(devices)}};
  if (!edits.empty()) object["containerEdits"] = std::move(edits);
  return object.dump(2) + "\n";
}

}  // namespace driverext
