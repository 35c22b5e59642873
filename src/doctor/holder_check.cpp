// Who has the driver's devices open: as long as somebody does, its modules cannot be exchanged.
#include <algorithm>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

bool is_pid(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

// "/dev/x{minor}" stands for /dev/x followed by digits.
bool is_node(const std::string& path, const std::string& node) {
  const size_t brace = node.find('{');
  if (brace == std::string::npos) return path == "/" + node;
  const std::string head = "/" + node.substr(0, brace);
  return path.starts_with(head) && path.size() > head.size() &&
         path.find_first_not_of("0123456789", head.size()) == std::string::npos;
}

bool is_of_driver(const Definition& definition, std::string path) {
  constexpr std::string_view kGone = " (deleted)";
  if (path.ends_with(kGone)) path.resize(path.size() - kGone.size());
  return std::any_of(definition.nodes.begin(), definition.nodes.end(),
                     [&](const DefinedNode& node) { return is_node(path, node.node); }) ||
         std::any_of(definition.devices.begin(), definition.devices.end(),
                     [&](const DefinedDevice& device) { return path == "/" + device.node; });
}

// The last part of the process's control group: a unit, or what a container engine calls the container.
std::string unit_of(const Dir& root, const std::string& pid) {
  const auto text = text_of(root, "proc/" + pid + "/cgroup");
  if (!text || !*text) return {};
  const std::string line = (*text)->substr((*text)->rfind('\n') + 1);
  return line.substr(line.rfind('/') + 1);
}

std::string describe(const Dir& root, const std::string& pid, const std::string& node) {
  const auto name = text_of(root, "proc/" + pid + "/comm");
  const std::string unit = unit_of(root, pid);
  return (name && *name ? **name : std::string("process")) + " (pid " + pid + (unit.empty() ? "" : ", " + unit) +
         ") has " + node + " open";
}

}  // namespace

// Whoever computes has them open; it is wrong only where another driver is waiting for its turn.
Result<Diagnosis> held_devices(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  if (!driver_runs(input)) return not_applicable("the driver is not loaded");
  TRY(const std::vector<std::string> processes, input.root.list("proc"));
  std::vector<std::string> holders;
  bool all_seen = true;
  for (const std::string& pid : processes) {
    if (!is_pid(pid)) continue;
    const Result<std::vector<std::string>> descriptors = input.root.list("proc/" + pid + "/fd");
    if (!descriptors) {
      all_seen = false;  // another user's, or gone meanwhile
      continue;
    }
    for (const std::string& descriptor : *descriptors) {
      const auto target = input.root.read_link("proc/" + pid + "/fd/" + descriptor);
      if (!target || !*target || !is_of_driver(*input.definition, **target)) continue;
      holders.push_back(describe(input.root, pid, **target));
      break;
    }
  }
  const std::string reason = status_text(input, "reason");
  const bool is_in_the_way =
      reason == reason_info(Reason::module_conflict).code || reason == reason_info(Reason::mount_conflict).code;
  if (is_in_the_way && !holders.empty()) return problem(listed(holders));
  if (!holders.empty()) return fine("in use: " + listed(holders));
  return all_seen ? fine("no process has a device of the driver open")
                  : unknown("no process that this user may look at has a device of the driver open");
}

}  // namespace driverext::checks
