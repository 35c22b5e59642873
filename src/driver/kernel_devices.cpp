#include "driver/kernel_devices.hpp"

#include <fnmatch.h>
#include <linux/major.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/text.hpp"
#include "driver/proc_files.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxNumber = 64;
constexpr size_t kMaxGroups = size_t{1} << 20;

std::optional<KernelDevice> numbered(const std::string& path, std::string_view text) {
  const auto number = parse_device_number(text);
  if (!number) return std::nullopt;
  return KernelDevice{path, number->major, number->minor};
}

std::string number_text(const KernelDevice& device) {
  return std::to_string(device.major) + ":" + std::to_string(device.minor);
}

// "DEVNAME=dri/card0" in its uevent: the kernel's own name of the node.
std::string node_in_uevent(std::string_view text) {
  const std::string name = env_value(text, "DEVNAME");
  return name.empty() || name.starts_with('/') || ("/" + name + "/").find("/../") != std::string::npos ? std::string()
                                                                                                       : "dev/" + name;
}

Result<bool> has_driver(const Dir& root, const std::string& folder, const std::vector<std::string>& drivers) {
  if (drivers.empty()) return true;
  TRY(const auto link, root.read_link(folder + "/device/driver"));
  return link && std::find(drivers.begin(), drivers.end(), link->substr(link->rfind('/') + 1)) != drivers.end();
}

// What a class lists are links to the devices themselves.
Result<bool> is_virtual(const Dir& root, const std::string& folder) {
  TRY(const auto link, root.read_link(folder));
  return link && link->find("/devices/virtual/") != std::string::npos;
}

Result<std::vector<KernelDevice>> devices_of_class(const Dir& root, const DefinedDevice& rule) {
  std::vector<KernelDevice> found;
  TRY(const std::vector<std::string> names, root.list(rule.device_class));
  for (const std::string& name : names) {
    if (!rule.names.empty() && ::fnmatch(rule.names.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
    const std::string folder = rule.device_class + "/" + name;
    TRY(const bool is_ours, has_driver(root, folder, rule.drivers));
    if (!is_ours) continue;
    if (rule.only_virtual) {
      TRY(const bool counts, is_virtual(root, folder));
      if (!counts) continue;
    }
    // Connectors, partitions and the like have no number.
    TRY(const auto number, root.read_if_there(folder + "/dev", kMaxNumber));
    if (!number) continue;
    TRY(const auto uevent, root.read_if_there(folder + "/uevent", kMaxReport));
    const std::string node = node_in_uevent(uevent.value_or(""));
    if (auto device = numbered(node, *number); device && !node.empty()) found.push_back(*std::move(device));
  }
  return found;
}

Error nothing_of(const std::string& what) { return make_error(Errc::not_found, Reason::device_missing, what); }

}  // namespace

Result<std::vector<KernelDevice>> find_kernel_devices(const Dir& root, const DefinedDevice& rule) {
  std::vector<KernelDevice> found;
  if (!rule.device_class.empty()) {
    TRY(found, devices_of_class(root, rule));
    if (found.empty() && !rule.optional) {
      std::string drivers;
      for (const std::string& driver : rule.drivers) drivers += (drivers.empty() ? " of " : ", ") + driver;
      return nothing_of("the driver did not register any " +
                        std::string(rule.only_virtual ? "virtual device" : "device") + drivers + " in /" +
                        rule.device_class);
    }
    return found;
  }
  if (!rule.misc.empty()) {
    TRY(const auto text, root.read_if_there("proc/misc", kMaxReport));
    const auto minors = parse_proc_misc(text.value_or(""));
    if (const auto minor = minors.find(rule.misc); minor != minors.end()) {
      found.push_back({rule.node, MISC_MAJOR, minor->second});
    } else if (!rule.optional) {
      return nothing_of("the driver did not register \"" + rule.misc + "\" in /proc/misc, so there is no /" +
                        rule.node);
    }
    return found;
  }
  TRY(const auto number, root.read_if_there(rule.sysfs_number, kMaxNumber));
  if (!number && rule.optional) return found;
  auto device = numbered(rule.node, number.value_or(""));
  if (!device) {
    return nothing_of("the driver did not register /" + rule.sysfs_number + ", so there is no /" + rule.node);
  }
  found.push_back(*std::move(device));
  return found;
}

Result<void> check_kernel_node(const Dir& root, const KernelDevice& device) {
  TRY(const std::optional<struct stat> node, root.status(device.path));
  if (!node) return nothing_of("/" + device.path + " is missing");
  const bool is_node = S_ISCHR(node->st_mode) || S_ISBLK(node->st_mode);
  if (is_node && node->st_rdev == gnu_dev_makedev(device.major, device.minor)) return {};
  const std::string found =
      is_node ? number_text({{}, gnu_dev_major(node->st_rdev), gnu_dev_minor(node->st_rdev)}) : "no device node";
  return make_error(
      Errc::conflict, Reason::device_missing,
      "/" + device.path + " is " + found + ", not " + number_text(device) + " that the driver registered");
}

Result<std::optional<unsigned>> find_group(const Dir& root, const std::string& name) {
  // Immutable hosts keep those of the OS beside it.
  for (const char* file : {"etc/group", "usr/lib/group"}) {
    TRY(const auto text, root.read_if_there(file, kMaxGroups));
    for (const std::string& line : split(text.value_or(""), '\n')) {
      const std::vector<std::string> fields = split(line, ':');
      if (fields.size() < 3 || fields[0] != name) continue;
      if (const auto number = decimal_number(fields[2])) return number;
    }
  }
  return std::optional<unsigned>();
}

}  // namespace driverext
