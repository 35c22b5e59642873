#include "host/control_group.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kIdDigits = 64;

// The one that systemd manages: its own of version 1, or the only one of version 2. Without systemd, whichever is not
// the root.
std::string path_of(std::string_view text) {
  std::string unified;
  std::string other;
  for (const std::string& line : split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path.empty() || path == "/") continue;
    if (controllers == "name=systemd") return path;
    if (controllers.empty()) unified = path;
    if (path.size() > other.size()) other = std::move(path);
  }
  return unified.empty() ? other : unified;
}

bool is_unit(std::string_view name) {
  constexpr std::string_view kTypes[] = {".service", ".scope", ".socket", ".mount", ".swap"};
  return std::any_of(std::begin(kTypes), std::end(kTypes),
                     [&](std::string_view type) { return name.size() > type.size() && name.ends_with(type); });
}

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

std::string_view without(std::string_view name, std::string_view ending) {
  if (name.ends_with(ending)) name.remove_suffix(ending.size());
  return name;
}

// systemd.unit(5): bytes that a unit's name cannot have stand there as \xNN.
std::string unescaped(std::string_view text) {
  constexpr size_t kEscape = 4;
  constexpr unsigned kHex = 16;
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string plain;
  while (!text.empty()) {
    if (text.starts_with("\\x") && text.size() >= kEscape && is_hex(text.substr(2, 2))) {
      plain += static_cast<char>(digit(text[2]) * kHex + digit(text[3]));
      text.remove_prefix(kEscape);
      continue;
    }
    plain += text.front();
    text.remove_prefix(1);
  }
  return plain;
}

struct Container {
  std::string id;
  std::string engine;
};

// "docker-ID.scope", "libpod-payload-ID", or the id alone below a folder with the engine's name.
std::optional<Container> container_by_id(std::string_view name, std::string_view parent) {
  name = without(name, ".scope");
  if (name.size() < kIdDigits || !is_hex(name.substr(name.size() - kIdDigits))) return std::nullopt;
  const std::string_view id = name.substr(name.size() - kIdDigits);
  std::string_view before = name.substr(0, name.size() - kIdDigits);
  if (before.empty()) {
    return Container{std::string(id), std::string(parent.starts_with("pod") ? "kubepods" : parent)};
  }
  if (!before.ends_with('-') && !before.ends_with(':')) return std::nullopt;
  before.remove_suffix(1);
  // It watches over the container, from outside of it.
  if (before.ends_with("conmon")) return std::nullopt;
  before = without(before, "-payload");
  return Container{std::string(id), std::string(before.substr(before.rfind(':') + 1))};
}

std::optional<Container> container_by_name(std::string_view name, std::string_view parent) {
  const auto named = [&](std::string_view head, std::string_view tail, const char* engine) -> std::optional<Container> {
    if (!name.starts_with(head) || !name.ends_with(tail) || name.size() <= head.size() + tail.size()) return {};
    return Container{unescaped(name.substr(head.size(), name.size() - head.size() - tail.size())), engine};
  };
  if (auto machine = named("machine-", ".scope", "machine")) return machine;
  if (auto machine = named("systemd-nspawn@", ".service", "machine")) return machine;
  if (auto payload = named("lxc.payload.", "", "lxc")) return payload;
  if (parent == "lxc" || parent == "lxc.payload") return Container{std::string(name), "lxc"};
  return std::nullopt;
}

// "pod1234-..." or "kubepods-burstable-pod1234_....slice", with the container behind it if it has no folder of its own:
// "kubepods-pod1234.slice:cri-containerd:ID".
std::string pod_in(std::string_view name) {
  name = without(name.substr(0, name.find(':')), ".slice");
  const size_t at = name.rfind("pod");
  if (at == std::string_view::npos || (at != 0 && !name.starts_with("kubepods-"))) return {};
  std::string uid(name.substr(at + 3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  // "kubepods" and "kubepods-burstable" are no pods.
  return uid.size() >= 8 && is_hex(uid.substr(0, 8)) ? uid : std::string();
}

}  // namespace

ControlGroup parse_control_group(std::string_view text) {
  ControlGroup group;
  std::string parent;
  for (const std::string& name : split(path_of(text), '/')) {
    if (name.empty()) continue;
    if (std::string pod = pod_in(name); !pod.empty()) group.pod = std::move(pod);
    if (is_unit(name)) group.unit = name;
    std::optional<Container> container = container_by_id(name, parent);
    if (!container) container = container_by_name(name, parent);
    if (container) {
      group.container = std::move(container->id);
      group.engine = std::move(container->engine);
      break;  // what comes below is the container's own
    }
    parent = name;
  }
  return group;
}

}  // namespace driverext
