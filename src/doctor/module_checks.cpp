// The driver's modules, and others that are in their place.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "driver/hardware_match.hpp"

namespace driverext::checks {
namespace {

constexpr const char* kBuses[] = {"pci", "usb", "platform", "virtio"};
// What a person binds a device to on purpose, for a virtual machine.
constexpr std::string_view kPassedOn = "vfio";

bool is_own(const Definition& definition, const std::string& module) {
  return std::any_of(definition.modules.begin(), definition.modules.end(),
                     [&](const DefinedModule& own) { return module_name_form(own.name) == module_name_form(module); });
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The driver that a device is bound to: its module, or its own name if it is built in. Empty: none.
Result<std::string> driver_of(const Dir& root, const std::string& device) {
  TRY(const auto driver, root.read_link(device + "/driver"));
  if (!driver) return std::string();
  TRY(const auto module, root.read_link(device + "/driver/module"));
  return last_part(module ? *module : *driver);
}

Result<std::string> loaded_build_id(const Dir& root, const std::string& module) {
  // An ELF note: three words of four bytes, "GNU" with its NUL, the id.
  constexpr size_t kNoteHead = 16;
  constexpr size_t kMaxNote = 4096;
  TRY(const auto note, root.read_if_there("sys/module/" + module + "/notes/.note.gnu.build-id", kMaxNote));
  if (!note || note->size() <= kNoteHead) return std::string();
  return to_hex(as_bytes(std::string_view(*note).substr(kNoteHead)));
}

}  // namespace

Result<Diagnosis> hardware_present(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  if (input.definition->hardware.empty()) return not_applicable("the driver needs no device");
  if (!input.facts->hardware_is_known) return unknown("the kernel does not show its devices");
  const auto& modaliases = input.facts->modaliases;
  const auto count = std::count_if(modaliases.begin(), modaliases.end(), [&](const std::string& modalias) {
    return hardware_entry(*input.definition, modalias) != nullptr;
  });
  if (count != 0) return fine("there are devices that " + input.definition->name + " is for");
  if (input.config && input.config->hardware == HardwareNeed::optional) {
    return not_applicable("no device that " + input.definition->name + " is for, and the configuration needs none");
  }
  return problem("none of " + std::to_string(modaliases.size()) + " kinds of devices is one that " +
                 input.definition->name + " is for");
}

Result<Diagnosis> competing_driver(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  std::vector<std::string> found;
  for (const std::string& module : input.definition->host_modules.conflicts) {
    // One that is loaded and has no device is in nobody's way once the driver has them.
    if (!is_provisioned(input) && is_loaded(*input.facts, module)) found.push_back("module " + module + " is loaded");
  }
  for (const char* bus : kBuses) {
    const std::string folder = std::string("sys/bus/") + bus + "/devices";
    TRY(const std::vector<std::string> devices, input.root.list(folder));
    for (const std::string& device : devices) {
      TRY(const auto modalias, text_of(input.root, folder + "/" + device + "/modalias"));
      if (!modalias || hardware_entry(*input.definition, *modalias) == nullptr) continue;
      TRY(const std::string driver, driver_of(input.root, folder + "/" + device));
      if (driver.empty() || is_own(*input.definition, driver) || driver.starts_with(kPassedOn)) continue;
      found.push_back(device + " is bound to " + driver);
    }
  }
  return problem_if_any(found, "no other driver has the devices");
}

Result<Diagnosis> driver_loaded(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  if (!is_provisioned(input)) return not_applicable("the driver is not provisioned");
  std::vector<std::string> gone;
  for (const DefinedModule& module : input.definition->modules) {
    // Of those that it does without, and of "*", the status says why they are not.
    if (!module.is_must() || module.name == kEveryModule) continue;
    if (!is_loaded(*input.facts, module.name)) gone.push_back(module.name + " is not loaded any more");
  }
  return problem_if_any(gone, "the driver's modules are loaded");
}

Result<Diagnosis> module_identity(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  TRY(const auto manifest, active_manifest(input));
  if (!manifest) return not_applicable("no image is mounted");
  std::vector<std::string> others;
  for (const ModuleRecord& module : manifest->modules) {
    if (!is_loaded(*input.facts, module.name)) continue;
    TRY(const std::string build_id, loaded_build_id(input.root, module.name));
    if (build_id.empty() || module.build_id.empty() || build_id == module.build_id) continue;
    others.push_back(module.name + " has build id " + build_id + ", the image's has " + module.build_id);
  }
  return problem_if_any(others, "the loaded modules are those of the image");
}

Result<Diagnosis> mixed_versions(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  if (!driver_runs(input)) return not_applicable("the driver is not loaded");
  std::set<std::string> versions;
  std::vector<std::string> words;
  const auto add = [&](const std::string& what, const std::string& version) {
    if (version.empty() || !versions.insert(version).second) return;
    words.push_back(what + " is " + version);
  };
  for (const DefinedModule& module : input.definition->modules) {
    TRY(const std::string version, loaded_version(input.root, module.name));
    add("module " + module.name, version);
  }
  if (versions.empty()) return unknown("the driver's modules do not say their version");
  // The user part that programs of the host itself find, if an image of this driver is merged into its /usr.
  TRY(const auto text, input.root.read_if_there(kManifestPath, kMaxManifestSize));
  if (text) {
    TRY(const Manifest merged, parse_manifest(*text));
    if (merged.driver == input.definition->name && merged.has_userland()) add("the host's /usr", merged.version);
  }
  if (versions.size() > 1) return problem(listed(words));
  return fine("all parts are " + *versions.begin());
}

// The host's own module of that name is the one that udev loads, before or instead of the image's.
Result<Diagnosis> module_on_host(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  const std::string folder = "usr/lib/modules/" + input.facts->kernel_release;
  TRY(const auto index, input.root.read_if_there(folder + "/modules.dep", kMaxLook));
  if (!index) return unknown("/" + folder + " has no modules.dep");
  std::vector<std::string> found;
  for (const std::string& line : split(*index, '\n')) {
    const std::string path = line.substr(0, line.find(':'));
    if (path.empty() || path.find("driverext/") != std::string::npos) continue;
    if (is_own(*input.definition, module_name_of_path(path))) found.push_back("/" + folder + "/" + path);
  }
  TRY(const auto builtin, input.root.read_if_there(folder + "/modules.builtin", kMaxLook));
  for (const std::string& path : split(builtin.value_or(""), '\n')) {
    if (!path.empty() && is_own(*input.definition, module_name_of_path(path))) found.push_back(path + " is built in");
  }
  return problem_if_any(found, "the host has no modules of these names of its own");
}

}  // namespace driverext::checks
