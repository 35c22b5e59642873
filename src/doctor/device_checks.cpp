// Device nodes: there, with the numbers that the kernel reports, and linked where container engines look.
#include <algorithm>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "doctor/extension_folders.hpp"
#include "driver/device_nodes.hpp"
#include "driver/kernel_devices.hpp"

namespace driverext::checks {
namespace {

std::string number_text(const DeviceNode& node) {
  return std::to_string(node.major) + ":" + std::to_string(node.minor);
}

std::string mode_text(unsigned mode) {
  constexpr unsigned kOctal = 8;
  std::string digits;
  for (unsigned rest = mode; rest != 0 || digits.empty(); rest /= kOctal) {
    digits.insert(digits.begin(), static_cast<char>('0' + rest % kOctal));
  }
  return "0" + digits;
}

// Why nothing can be said of the nodes; else nothing.
std::optional<Diagnosis> without_nodes(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  if (!driver_runs(input)) return not_applicable("the driver is not loaded");
  if (input.definition->nodes.empty() && input.definition->devices.empty()) {
    return not_applicable("the driver has no device nodes");
  }
  return std::nullopt;
}

Result<std::vector<std::string>> missing_links(const DoctorInput& input) {
  TRY(const std::vector<ReportedNode> reported, read_reported_nodes(input.root, *input.definition));
  std::vector<std::string> missing;
  for (const ReportedNode& node : reported) {
    const std::string name = char_link_name(node.node);
    TRY(const auto link, input.root.read_link(name));
    if (!link && node.optional && !node.may_make) continue;
    if (!link) {
      missing.push_back("/" + name + " is missing");
    } else if (!is_char_link_to(*link, node.path)) {
      missing.push_back("/" + name + " leads to " + *link + ", not to /" + node.path);
    }
  }
  return missing;
}

}  // namespace

Result<Diagnosis> device_nodes(const DoctorInput& input) {
  if (auto nothing = without_nodes(input)) return *std::move(nothing);
  std::vector<std::string> wrong;
  for (const DefinedDevice& device : input.definition->devices) {
    const Result<std::vector<KernelDevice>> found = find_kernel_devices(input.root, device);
    // Without the hardware there is no device, which is another check's matter.
    if (!found && found.error().reason == Reason::device_missing) continue;
    if (!found) return found.error();
    for (const KernelDevice& each : *found) {
      if (const Result<void> node = check_kernel_node(input.root, each); !node) wrong.push_back(node.error().message());
    }
  }
  Result<std::vector<ReportedNode>> reported = read_reported_nodes(input.root, *input.definition);
  if (!reported && reported.error().reason == Reason::device_missing) return problem(reported.error().message());
  if (!reported) return std::move(reported).error();
  for (const ReportedNode& node : *reported) {
    TRY(const auto found, input.find_node(node.path));
    if (!found && node.optional && !node.may_make) continue;
    if (!found) {
      wrong.push_back("/" + node.path + " is missing");
    } else if (found->major != node.node.major || found->minor != node.node.minor) {
      wrong.push_back("/" + node.path + " is " + number_text(*found) + ", not " + number_text(node.node));
    }
  }
  return problem_if_any(wrong, "every node is there, with the number that the kernel reports");
}

Result<Diagnosis> device_node_modes(const DoctorInput& input) {
  if (auto nothing = without_nodes(input)) return *std::move(nothing);
  TRY(const std::vector<ReportedNode> reported, read_reported_nodes(input.root, *input.definition));
  std::vector<std::string> wrong;
  for (const ReportedNode& node : reported) {
    if (!node.may_make) continue;  // somebody else's to decide
    TRY(const auto found, input.find_node(node.path));
    if (!found) continue;
    if (found->mode != node.node.mode) {
      wrong.push_back("/" + node.path + " has mode " + mode_text(found->mode) + ", not " + mode_text(node.node.mode));
    } else if (found->owner != node.node.owner || found->group != node.node.group) {
      wrong.push_back("/" + node.path + " belongs to " + std::to_string(found->owner) + ":" +
                      std::to_string(found->group) + ", not " + std::to_string(node.node.owner) + ":" +
                      std::to_string(node.node.group));
    }
  }
  return problem_if_any(wrong, "every node has the mode and owner that the driver asks for");
}

Result<Diagnosis> dev_char_links(const DoctorInput& input) {
  if (auto nothing = without_nodes(input)) return *std::move(nothing);
  TRY(const std::vector<std::string> missing, missing_links(input));
  return problem_if_any(missing, "every node has its link in /dev/char");
}

// With the links a daemon-reload takes nothing away, unless it comes while the driver's own nodes are being made.
Result<Diagnosis> daemon_reload(const DoctorInput& input) {
  if (auto nothing = without_nodes(input)) return *std::move(nothing);
  TRY(const std::vector<ExtensionRelease> releases, extension_releases(input.root));
  std::vector<std::string> reloading;
  for (const ExtensionRelease& release : releases) {
    if (env_value(release.text, "EXTENSION_RELOAD_MANAGER") != "1") continue;
    reloading.push_back(release.name);
    TRY(const auto link, input.root.read_link(release.folder));
    // The one that the merge step links: it is merged while containers may run already.
    if (link && link->find("driverext/mounts/") != std::string::npos) {
      return problem("the driver's own extension " + release.name + " has systemd reloaded when it is merged");
    }
  }
  if (reloading.empty()) return fine("no extension has systemd reloaded when it is merged");
  TRY(const std::vector<std::string> missing, missing_links(input));
  if (missing.empty()) return fine("systemd is reloaded for " + listed(reloading) + ", and /dev/char has the nodes");
  return problem("systemd is reloaded whenever " + listed(reloading) + " is merged, and " + listed(missing));
}

// Nodes of devices or of a driver that are gone: who opens one gets an error that tells nothing, or another driver.
Result<Diagnosis> stale_device_nodes(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  const bool runs = driver_runs(input);
  TRY(std::vector<NodeClaim> claims, read_node_claims(input.root, *input.definition));
  for (NodeClaim& claim : claims) {
    if (runs) break;
    claim.major.reset();
    claim.wanted.clear();
  }
  TRY(const std::vector<StaleNode> found, find_stale_nodes(input.root, claims, input.find_node));
  std::vector<std::string> stale;
  for (const StaleNode& node : found) {
    stale.push_back("/" + node.path + (runs ? " leads nowhere" : " is there, but the driver is not loaded"));
  }
  return problem_if_any(stale, "no node is left over");
}

}  // namespace driverext::checks
