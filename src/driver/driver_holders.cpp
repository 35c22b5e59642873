#include "driver/driver_holders.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "driver/device_nodes.hpp"
#include "driver/kernel_devices.hpp"
#include "driver/proc_files.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxNumber = 64;
// A device's own folder, its subsystem's, and the one of what it is there: 0000:01:00.0/drm/card0.
constexpr int kMaxDepth = 3;

void add(std::vector<DeviceNumbers>& numbers, const DeviceNumbers& more) {
  if (std::find(numbers.begin(), numbers.end(), more) == numbers.end()) numbers.push_back(more);
}

void add_file(const Dir& root, const std::string& name, std::vector<DeviceNumbers>& numbers) {
  const auto text = root.read_if_there(name, kMaxNumber);
  if (!text || !*text) return;
  if (const auto number = parse_device_number(**text)) add(numbers, {number->major, number->minor});
}

// Below what one driver is bound to: a device there that has a driver too belongs to that one.
void add_device(const Dir& root, const std::string& folder, int depth, std::vector<DeviceNumbers>& numbers) {
  add_file(root, folder + "/dev", numbers);
  if (depth == kMaxDepth) return;
  const auto names = root.list(folder);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string below = folder + "/" + name;
    const auto info = root.status(below);
    if (!info || !*info || !S_ISDIR((*info)->st_mode)) continue;
    const auto driver = root.status(below + "/driver");
    if (driver && *driver) continue;
    add_device(root, below, depth + 1, numbers);
  }
}

void add_bound(const Dir& root, const std::string& module, std::vector<DeviceNumbers>& numbers) {
  const std::string drivers = "sys/module/" + module + "/drivers";
  const auto names = root.list(drivers);
  if (!names) return;
  for (const std::string& driver : *names) {
    const std::string folder = drivers + "/" + driver;
    const auto devices = root.list(folder);
    if (!devices) continue;
    for (const std::string& device : *devices) {
      const auto link = root.read_link(folder + "/" + device);
      // Links to devices; there is one to the module as well.
      if (link && *link && device != "module") add_device(root, folder + "/" + device, 0, numbers);
    }
  }
}

}  // namespace

std::vector<DeviceNumbers> device_numbers_of(const Dir& root, const std::vector<std::string>& modules) {
  std::vector<DeviceNumbers> numbers;
  const auto text = root.read_if_there("proc/devices", kMaxReport);
  const auto registered = parse_proc_devices(text && *text ? std::string_view(**text) : std::string_view());
  for (const std::string& module : modules) {
    for (const auto& [name, major] : registered) {
      if (module_name_form(name) == module_name_form(module)) add(numbers, {major, std::nullopt});
    }
    add_bound(root, module_name_form(module), numbers);
  }
  return numbers;
}

Result<std::vector<ModuleUse>> modules_of_driver(const Dir& root, const Definition& definition) {
  std::vector<std::string> names;
  names.reserve(definition.modules.size());
  for (const DefinedModule& module : definition.modules) names.push_back(module.name);
  return read_module_uses(root, names);
}

HolderQuery holder_query(const Dir& root, const std::vector<ModuleUse>& modules) {
  std::vector<std::string> names;
  names.reserve(modules.size());
  for (const ModuleUse& module : modules) names.push_back(module.name);
  HolderQuery query;
  query.devices = device_numbers_of(root, names);
  return query;
}

HolderQuery holder_query(const Dir& root, const Definition& definition, const std::vector<ModuleUse>& modules) {
  HolderQuery query = holder_query(root, modules);
  for (const DefinedDevice& rule : definition.devices) {
    if (!rule.node.empty()) query.nodes.push_back("/" + rule.node);
    const auto devices = find_kernel_devices(root, rule);
    if (!devices) continue;
    for (const KernelDevice& device : *devices) add(query.devices, {device.major, device.minor});
  }
  const auto text = root.read_if_there("proc/devices", kMaxReport);
  const auto registered = parse_proc_devices(text && *text ? std::string_view(**text) : std::string_view());
  for (const DefinedNode& node : definition.nodes) {
    query.nodes.push_back("/" + node.node);
    // Also those that the driver does not report, or no longer.
    for (const std::string& name : node.registered_as) {
      if (const auto found = registered.find(name); found != registered.end()) {
        add(query.devices, {found->second, std::nullopt});
      }
    }
  }
  if (const auto reported = read_reported_nodes(root, definition)) {
    for (const ReportedNode& node : *reported) add(query.devices, {node.node.major, node.node.minor});
  }
  return query;
}

}  // namespace driverext
