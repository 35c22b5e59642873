// Whether the host has a device that this flavor and version of a driver drive, by the definition's table.
#include <algorithm>

#include "base/version.hpp"
#include "driver/hardware_match.hpp"
#include "provisioner/selection/requirement.hpp"

namespace driverext {
namespace {

// Entries that a device of the host is in, each once, in the definition's order.
std::vector<const DefinedHardware*> present_hardware(const SelectionInput& input) {
  std::vector<const DefinedHardware*> present;
  for (const std::string& modalias : input.facts.modaliases) {
    const DefinedHardware* entry = hardware_entry(input.definition, modalias);
    if (entry != nullptr && std::find(present.begin(), present.end(), entry) == present.end()) present.push_back(entry);
  }
  std::sort(present.begin(), present.end());  // they are elements of one list
  return present;
}

bool takes_flavor(const DefinedHardware& hardware, const std::string& flavor) {
  return hardware.flavors.empty() || flavor.empty() ||
         std::find(hardware.flavors.begin(), hardware.flavors.end(), flavor) != hardware.flavors.end();
}

bool is_of_branch(const std::string& version, const std::string& branch) {
  return VersionWish{VersionWish::Kind::branch, branch}.allows(version);
}

// Empty if the device takes it; else what speaks against it.
std::string objection(const DefinedHardware& hardware, const ImageIdentity& image) {
  if (!takes_flavor(hardware, image.flavor)) {
    std::string flavors;
    for (const std::string& flavor : hardware.flavors) flavors += (flavors.empty() ? "" : " or ") + flavor;
    return hardware.name + " take the flavor " + flavors + ", not " + image.flavor;
  }
  if (!hardware.oldest.empty() && order_of_versions(image.version, hardware.oldest) < 0) {
    return hardware.name + " need " + hardware.oldest + " or newer, not " + image.version;
  }
  if (!hardware.newest.empty() && order_of_versions(image.version, hardware.newest) > 0 &&
      !is_of_branch(image.version, hardware.newest)) {
    return hardware.name + " are driven up to " + hardware.newest + ", not by " + image.version;
  }
  return {};
}

}  // namespace

Finding judge_hardware(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::hardware;
  if (input.definition.hardware.empty()) return {kWhat, Verdict::met, Reason::provisioned, "the driver needs none"};
  if (!input.facts.hardware_is_known) {
    return {kWhat, Verdict::untold, Reason::provisioned, "the host's devices are not told"};
  }
  const std::vector<const DefinedHardware*> present = present_hardware(input);
  if (present.empty()) {
    if (input.config.hardware == HardwareNeed::optional) {
      return {kWhat, Verdict::met, Reason::provisioned,
              "there is none, and the configuration says that none is needed"};
    }
    return {kWhat, Verdict::unmet, Reason::no_hardware,
            "none of the " + std::to_string(input.facts.modaliases.size()) + " devices of this host is one for " +
                input.config.driver};
  }
  // One device that takes it is enough: a node with an old card beside a new one has a driver for one of them.
  std::string against;
  for (const DefinedHardware* hardware : present) {
    const std::string words = objection(*hardware, image);
    if (words.empty()) return {kWhat, Verdict::met, Reason::provisioned, "there are " + hardware->name};
    against += (against.empty() ? "" : "; ") + words;
  }
  return {kWhat, Verdict::unmet, Reason::hardware_unsupported, against};
}

size_t flavor_rank(const SelectionInput& input, const std::string& flavor) {
  if (flavor.empty() || !input.config.flavor.empty()) return 0;
  size_t rank = 0;
  for (const DefinedHardware* hardware : present_hardware(input)) {
    const auto place = std::find(hardware->flavors.begin(), hardware->flavors.end(), flavor);
    rank += static_cast<size_t>(place - hardware->flavors.begin());
  }
  return rank;
}

}  // namespace driverext
