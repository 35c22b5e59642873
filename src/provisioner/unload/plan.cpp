#include "provisioner/unload/plan.hpp"

#include <algorithm>
#include <set>

#include "modules/modprobe_config.hpp"

namespace driverext {
namespace {

bool is_daemon(const UnloadFacts& facts, const ProcessHolder& holder) {
  return std::any_of(facts.daemons.begin(), facts.daemons.end(),
                     [&](const RunningDaemon& daemon) { return daemon.unit == holder.group.unit; });
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const UnloadModule* find(const UnloadFacts& facts, const std::string& name) {
  const auto found = std::find_if(facts.modules.begin(), facts.modules.end(),
                                  [&](const UnloadModule& module) { return module.use.name == name; });
  return found == facts.modules.end() ? nullptr : &*found;
}

// "gdrdrv uses driver_core": those of the list that it is a user of.
std::string what_it_uses(const UnloadFacts& facts, const std::string& user) {
  std::vector<std::string> used;
  for (const UnloadModule& module : facts.modules) {
    const auto& by = module.use.used_by;
    if (std::find(by.begin(), by.end(), user) != by.end()) used.push_back(module.use.name);
  }
  return joined(used);
}

std::vector<std::string> who_is_in_the_way(const UnloadFacts& facts) {
  std::vector<std::string> in_use;
  for (const ProcessHolder& holder : facts.holders.processes) {
    if (!is_daemon(facts, holder)) in_use.push_back(holder_text(holder));
  }
  // Of devices that are open somebody is seen, mostly; a count that nobody explains is the kernel's own use.
  for (const UnloadModule& module : facts.modules) {
    const unsigned others = module.use.other_references();
    if (others == 0 || !facts.holders.processes.empty()) continue;
    in_use.push_back(
        "module " + module.use.name + " is in use " + std::to_string(others) + (others == 1 ? " time" : " times") +
        (facts.holders.all_seen ? ", by no process with a device that is known to be its own: by the kernel"
                                : ", by processes that this user may not look into"));
  }
  for (const UnloadModule& module : facts.modules) {
    if (!module.use.is_removable) {
      in_use.push_back("module " + module.use.name + " cannot be unloaded: this kernel unloads no modules");
    }
    for (const std::string& user : module.use.used_by) {
      if (find(facts, user) == nullptr) {
        in_use.push_back("module " + module.use.name + " is used by " + user + ", which cannot be unloaded");
      }
    }
  }
  if (in_use.empty()) return in_use;
  for (const UnloadModule& module : facts.modules) {
    const std::string used = what_it_uses(facts, module.use.name);
    if (module.whose != UnloadModule::Whose::other || used.empty()) continue;
    in_use.push_back("module " + module.use.name + " uses " + used +
                     (module.use.references == 0 ? ", and would be unloaded with it" : ""));
  }
  return in_use;
}

// Whoever is used comes after its users; the others first, the driver's own in reverse.
std::vector<size_t> removal_order(const std::vector<UnloadModule>& modules) {
  std::set<std::string> left;
  for (const UnloadModule& module : modules) left.insert(module.use.name);
  std::vector<size_t> order;
  const auto take_next = [&](UnloadModule::Whose whose) {
    for (size_t i = modules.size(); i-- > 0;) {
      const UnloadModule& module = modules[i];
      if (module.whose != whose || !left.contains(module.use.name)) continue;
      const auto& users = module.use.used_by;
      const bool is_free =
          std::none_of(users.begin(), users.end(), [&](const std::string& user) { return left.contains(user); });
      if (!is_free) continue;
      left.erase(module.use.name);
      order.push_back(i);
      return true;
    }
    return false;
  };
  // Modules that use each other in a circle cannot be loaded in the first place.
  while (take_next(UnloadModule::Whose::other) || take_next(UnloadModule::Whose::driver)) continue;
  return order;
}

void add_what_can_be_taken_back(const UnloadFacts& facts, UnloadPlan& plan) {
  const std::string what = facts.version.empty() ? facts.driver : facts.driver + " " + facts.version;
  for (size_t i = facts.daemons.size(); i-- > 0;) {
    plan.steps.push_back({UnloadStepKind::stop_daemon, facts.daemons[i].unit, "it holds the driver's devices", i});
  }
  for (size_t i = 0; i < facts.contract_files.size(); ++i) {
    plan.steps.push_back({UnloadStepKind::remove_contract, "/" + facts.contract_files[i].name,
                          "others are not to take the driver for loaded", i});
  }
  if (facts.modprobe_file) {
    plan.steps.push_back({UnloadStepKind::forget_modprobe, "/run/modprobe.d/driverext.conf",
                          "nothing is to load the modules again by their names"});
  }
  for (const size_t i : removal_order(facts.modules)) {
    const UnloadModule& module = facts.modules[i];
    const std::string used = what_it_uses(facts, module.use.name);
    plan.steps.push_back(
        {UnloadStepKind::remove_module, module.use.name,
         module.whose == UnloadModule::Whose::driver || used.empty() ? "module of " + what : "it uses " + used, i});
  }
}

}  // namespace

std::string_view unload_step_name(UnloadStepKind kind) {
  switch (kind) {
    case UnloadStepKind::stop_daemon:
      return "stop";
    case UnloadStepKind::forget_modprobe:
      return "modprobe";
    case UnloadStepKind::remove_module:
      return "module";
    case UnloadStepKind::unmerge:
      return "merge";
    case UnloadStepKind::allow_others:
      return "evict";
    case UnloadStepKind::reset_firmware:
      return "firmware";
    case UnloadStepKind::remove_node:
      return "device";
    case UnloadStepKind::stop_watching:
      return "events";
    case UnloadStepKind::remove_cdi:
      return "toolkit";
    case UnloadStepKind::remove_contract:
      return "contract";
    case UnloadStepKind::remove_root:
      return "root";
    case UnloadStepKind::release_image:
      return "image";
  }
  return "?";
}

bool can_be_taken_back(UnloadStepKind kind) { return kind <= UnloadStepKind::remove_module; }

UnloadPlan plan_unload(const UnloadFacts& facts) {
  UnloadPlan plan;
  plan.in_use = who_is_in_the_way(facts);
  const bool has_first = !facts.modules.empty() || facts.modprobe_file || !facts.contract_files.empty();
  if (has_first || !facts.daemons.empty()) add_what_can_be_taken_back(facts, plan);
  const auto add = [&](UnloadStepKind kind, std::string subject, std::string why, size_t index = 0) {
    plan.steps.push_back({kind, std::move(subject), std::move(why), index});
  };
  for (size_t i = 0; i < facts.merged.size(); ++i) {
    add(UnloadStepKind::unmerge, "/" + facts.merged[i], "its programs go from the host's PATH", i);
  }
  if (facts.others_are_kept_away) {
    add(UnloadStepKind::allow_others, "/" + std::string(kOwnConflictsFile), "other drivers may have the devices again");
  }
  if (!facts.firmware_path.empty()) {
    add(UnloadStepKind::reset_firmware, facts.firmware_path, "the kernel is not to look there any more");
  }
  for (size_t i = 0; i < facts.nodes.size(); ++i) {
    add(UnloadStepKind::remove_node, "/" + facts.nodes[i].path, "nothing is behind it any more", i);
  }
  if (facts.is_watched) {
    add(UnloadStepKind::stop_watching, "/run/driverext/watched", "no device of it comes or goes any more");
  }
  if (!facts.cdi_file.empty()) {
    add(UnloadStepKind::remove_cdi, "/" + facts.cdi_file, "container engines are not to offer the devices");
  }
  if (!facts.driver_root.empty()) {
    add(UnloadStepKind::remove_root, "/" + facts.driver_root, "who has a file of it open keeps that");
  }
  for (size_t i = 0; i < facts.images.size(); ++i) {
    add(UnloadStepKind::release_image, facts.images[i].root_hash, "it goes when its last user does", i);
  }
  return plan;
}

}  // namespace driverext
