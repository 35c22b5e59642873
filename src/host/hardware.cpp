#include "host/hardware.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "host/host_files.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxDevices = 4096;
constexpr size_t kMaxModalias = 4096;
// A bus on which that many devices have no modalias has none at all: the one of memory blocks has tens of thousands of
// devices on a large machine.
constexpr size_t kMaxWithout = 32;

void add_modaliases(const Dir& root, const std::string& bus, size_t& left, std::vector<std::string>& aliases) {
  // Each is a link to a folder somewhere below sys/devices, so it is named from the root on.
  const std::string folder = "sys/bus/" + bus + "/devices/";
  const Result<std::vector<std::string>> devices = root.list(folder);
  if (!devices) return;
  size_t without = 0;
  bool has_any = false;
  for (const std::string& device : *devices) {
    if (left == 0 || (!has_any && without == kMaxWithout)) return;
    --left;
    const auto text = read_fact(root, folder + device + "/modalias", kMaxModalias);
    const std::string_view alias = trim(text ? std::string_view(*text) : std::string_view());
    if (alias.empty()) {
      ++without;
      continue;
    }
    has_any = true;
    aliases.push_back(printable(alias));
  }
}

}  // namespace

std::optional<std::vector<std::string>> read_modaliases(const Dir& root) {
  Result<std::vector<std::string>> buses = root.list("sys/bus");
  if (!buses || buses->empty()) return {};
  // Out-of-tree drivers are for PCI devices above all: if there are too many devices, these are not left out.
  std::stable_partition(buses->begin(), buses->end(), [](const std::string& bus) { return bus == "pci"; });
  std::vector<std::string> aliases;
  size_t left = kMaxDevices;
  for (const std::string& bus : *buses) add_modaliases(root, bus, left, aliases);
  std::sort(aliases.begin(), aliases.end());
  aliases.erase(std::unique(aliases.begin(), aliases.end()), aliases.end());
  return aliases;
}

}  // namespace driverext
