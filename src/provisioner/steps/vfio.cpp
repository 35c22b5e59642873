#include "provisioner/steps/vfio.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "driver/hardware_match.hpp"
#include "driver/proc_files.hpp"
#include "host/holders.hpp"

namespace driverext {
namespace {

constexpr std::string_view kVfioDriver = "vfio-pci";
constexpr std::string_view kDevices = "sys/bus/pci/devices/";
constexpr size_t kMaxAttribute = 4096;

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void add_number(const Dir& root, const std::string& file, HolderQuery& query) {
  const auto text = root.read_if_there(file, kMaxAttribute);
  if (!text || !*text) return;
  if (const auto number = parse_device_number(**text)) query.devices.push_back({number->major, number->minor});
}

// A group is opened as a whole (/dev/vfio/7), a device by itself through iommufd (/dev/vfio/devices/vfio0).
Result<HolderQuery> query_for(const Dir& root, const std::string& address) {
  HolderQuery query;
  const std::string folder = std::string(kDevices) + address;
  TRY(const auto group, root.read_link(folder + "/iommu_group"));
  if (group) {
    for (const std::string& name : {last_part(*group), "noiommu-" + last_part(*group)}) {
      query.nodes.push_back("/dev/vfio/" + name);
      add_number(root, "sys/class/vfio/" + name + "/dev", query);
    }
  }
  TRY(const std::vector<std::string> own, root.list(folder + "/vfio-dev"));
  for (const std::string& name : own) {
    query.nodes.push_back("/dev/vfio/devices/" + name);
    add_number(root, folder + "/vfio-dev/" + name + "/dev", query);
  }
  return query;
}

}  // namespace

Result<std::vector<PciBinding>> find_vfio_devices(const Dir& root, const Definition& definition) {
  std::vector<PciBinding> found;
  if (definition.hardware.empty()) return found;
  TRY(const std::vector<std::string> addresses, root.list(kDevices));
  for (const std::string& address : addresses) {
    const std::string folder = std::string(kDevices) + address;
    TRY(const auto driver, root.read_link(folder + "/driver"));
    if (!driver || last_part(*driver) != kVfioDriver) continue;
    TRY(const auto modalias, root.read_if_there(folder + "/modalias", kMaxAttribute));
    if (!modalias || hardware_entry(definition, std::string(trim(*modalias))) == nullptr) continue;
    TRY(const auto only, root.read_if_there(folder + "/driver_override", kMaxAttribute));
    const std::string_view named = trim(only ? std::string_view(*only) : std::string_view());
    found.push_back({address, std::string(kVfioDriver), std::string(named == "(null)" ? "" : named)});
  }
  return found;
}

Result<void> refuse_if_vfio_is_used(const Dir& root, const PciBinding& device) {
  TRY(const HolderQuery query, query_for(root, device.address));
  TRY(const ProcessHolders holders, find_process_holders(root, query));
  if (holders.processes.empty()) return {};
  std::string who;
  for (const ProcessHolder& holder : holders.processes) who += (who.empty() ? "" : ", ") + holder_text(holder);
  return make_error(Errc::conflict, Reason::module_conflict,
                    "device " + device.address + " is bound to " + std::string(kVfioDriver) + " and in use: " + who);
}

}  // namespace driverext
