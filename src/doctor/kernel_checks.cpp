// What the kernel lacks or refuses.
#include <algorithm>
#include <cstdlib>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

Diagnosis feature(const DoctorInput& input, Presence KernelFacts::*member, const std::string& what) {
  if (!input.facts) return without_facts(input);
  switch (input.facts->kernel.*member) {
    case Presence::absent:
      return problem("kernel " + input.facts->kernel_release + " has no " + what);
    case Presence::loadable:
      return fine(what + " is a module on the host");
    case Presence::present:
      return fine("the kernel has " + what);
    case Presence::unknown:
      break;
  }
  return unknown("the host does not tell whether its kernel has " + what);
}

bool is_there_or_loadable(Presence presence) { return presence == Presence::loadable || presence == Presence::present; }

// Modules of the image for this kernel: the one that is mounted, else every one in the store.
Result<std::vector<ModuleRecord>> modules_for_this_kernel(const DoctorInput& input) {
  TRY(const auto active, active_manifest(input));
  if (active) return active->modules;
  std::vector<ModuleRecord> modules;
  for (const NodeImage* image : images_for(input, input.facts->kernel_release)) {
    modules.insert(modules.end(), image->manifest.modules.begin(), image->manifest.modules.end());
  }
  return modules;
}

std::string hex_digits(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ':' && c != ' ') digits += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return digits;
}

bool knows_key(const ModuleTrust& trust, const std::string& key_id) {
  return std::any_of(trust.keys.begin(), trust.keys.end(),
                     [&](const KernelKey& key) { return !key.id.empty() && hex_digits(key.id) == hex_digits(key_id); });
}

// modprobe.d(5): the rest of an install line is a shell command; these do nothing.
bool keeps_out(const std::string& line, const std::string& module) {
  std::vector<std::string> words;
  std::string blanks(trim(line));
  std::replace(blanks.begin(), blanks.end(), '\t', ' ');
  for (std::string& word : split(blanks, ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  constexpr size_t kWords = 3;
  if (words.size() != kWords || words[0] != "install" || module_name_form(words[1]) != module_name_form(module)) {
    return false;
  }
  const std::string program = words[2].substr(words[2].rfind('/') + 1);
  return program == "false" || program == "true" || program == ":";
}

}  // namespace

Result<Diagnosis> loop_devices(const DoctorInput& input) { return feature(input, &KernelFacts::loop, "loop devices"); }

Result<Diagnosis> dm_verity(const DoctorInput& input) { return feature(input, &KernelFacts::dm_verity, "dm-verity"); }

// Images are squashfs unless their publisher asked for erofs; which of them is in an image shows when it is mounted.
Result<Diagnosis> image_file_system(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  const KernelFacts& kernel = input.facts->kernel;
  if (is_provisioned(input)) return fine("the image is mounted");
  if (kernel.squashfs != Presence::absent) return feature(input, &KernelFacts::squashfs, "squashfs");
  if (is_there_or_loadable(kernel.erofs)) return problem("the kernel has erofs, but no squashfs");
  return problem("the kernel has neither squashfs nor erofs");
}

// After an update of a host that is not made of images, or where /usr was replaced under the running kernel.
Result<Diagnosis> host_modules(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  const std::string folder = "usr/lib/modules/" + input.facts->kernel_release;
  if (is_there(input.root, folder) || is_there(input.root, "lib/modules/" + input.facts->kernel_release)) {
    return fine("the modules of " + input.facts->kernel_release + " are on the host");
  }
  if (!is_there(input.root, "usr/lib/modules")) return not_applicable("the host has no kernel modules at all");
  return problem("/" + folder + " is missing, though that kernel runs");
}

Result<Diagnosis> module_signatures(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  const ModuleTrust& trust = input.facts->module_trust;
  if (!trust.wants_signatures()) return fine("this kernel takes modules without a signature of their own");
  if (is_provisioned(input)) return fine("the kernel took the driver's modules");
  TRY(const std::vector<ModuleRecord> modules, modules_for_this_kernel(input));
  if (modules.empty()) return unknown("the kernel takes signed modules only; no image for it is here to look at");
  std::vector<std::string> unsigned_ones;
  std::vector<std::string> unknown_keys;
  for (const ModuleRecord& module : modules) {
    if (module.signature_key_id.empty()) {
      unsigned_ones.push_back(module.name + " is not signed");
    } else if (!knows_key(trust, module.signature_key_id)) {
      unknown_keys.push_back(module.name + " (" + module.signature_key_id + ")");
    }
  }
  const std::string asks = trust.lockdown == "integrity" || trust.lockdown == "confidentiality"
                               ? "the kernel is locked down (" + trust.lockdown + "): "
                               : "the kernel takes signed modules only: ";
  if (!unsigned_ones.empty()) return problem(asks + listed(unsigned_ones));
  if (unknown_keys.empty()) return fine("the kernel knows the keys that signed the driver's modules");
  // A signature may name its key by a serial number, which the keyring does not show.
  const bool comparable =
      trust.keys_are_known && std::all_of(modules.begin(), modules.end(), [](const ModuleRecord& module) {
        constexpr size_t kKeyIdentifier = 40;  // a subject key identifier: SHA-1
        return hex_digits(module.signature_key_id).size() == kKeyIdentifier;
      });
  if (!comparable)
    return unknown(asks + "whether it knows the key that signed " + listed(unknown_keys) + " is not told");
  return problem(asks + "no keyring has the key that signed " + listed(unknown_keys));
}

// module_blacklist= is the kernel's own, and holds for whoever loads a module; modprobe.blacklist= and blacklist lines
// only keep udev from it, and driverext loads by file.
Result<Diagnosis> module_blocked(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  std::vector<std::string> blocked;
  for (const std::string& word : input.facts->command_line) {
    constexpr std::string_view kKey = "module_blacklist=";
    if (!word.starts_with(kKey)) continue;
    for (const std::string& name : split(std::string_view(word).substr(kKey.size()), ',')) {
      for (const DefinedModule& module : input.definition->modules) {
        if (module_name_form(name) == module_name_form(module.name)) blocked.push_back(word + " names " + module.name);
      }
    }
  }
  return problem_if_any(blocked, "the kernel's command line keeps no module of the driver out");
}

// "install MODULE /bin/false" keeps modprobe and udev from it: driverext loads by file, but not whoever loads it again.
Result<Diagnosis> module_install_lines(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  std::vector<std::string> found;
  for (const std::string folder : {"etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"}) {
    TRY(const std::vector<std::string> names, input.root.list(folder));
    for (const std::string& name : names) {
      if (!name.ends_with(".conf")) continue;
      TRY(const auto text, input.root.read_if_there(folder + "/" + name, kMaxLook));
      for (const std::string& line : split(text.value_or(""), '\n')) {
        for (const DefinedModule& module : input.definition->modules) {
          if (!keeps_out(line, module.name)) continue;
          found.push_back("/" + folder + "/" + name + ": " + std::string(trim(line)));
        }
      }
    }
  }
  return problem_if_any(found, "no install line keeps modprobe from the driver's modules");
}

Result<Diagnosis> kernel_oops(const DoctorInput& input) {
  TRY(const auto text, text_of(input.root, "proc/sys/kernel/tainted"));
  if (!text) return unknown("the kernel does not show /proc/sys/kernel/tainted");
  constexpr unsigned long kDied = 1UL << 7;  // TAINT_DIE: Documentation/admin-guide/tainted-kernels.rst
  const unsigned long taint = std::strtoul(text->c_str(), nullptr, 10);
  if ((taint & kDied) != 0) return problem("the kernel has had an oops since it started (taint " + *text + ")");
  return fine("the kernel has had no oops");
}

}  // namespace driverext::checks
