#include "kbuild/dkms_conf.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace driverext {
namespace {

using Elements = std::map<unsigned, std::string>;

const Elements& elements_of(const ShellArrays& values, const std::string& name) {
  static const Elements kNone;
  const auto found = values.find(name);
  return found == values.end() ? kNone : found->second;
}

std::string element(const ShellArrays& values, const std::string& name, unsigned index) {
  const Elements& elements = elements_of(values, name);
  const auto found = elements.find(index);
  return found == elements.end() ? std::string() : found->second;
}

std::vector<DkmsMatched> matched(const ShellArrays& values, const std::string& name, const std::string& match) {
  std::vector<DkmsMatched> all;
  for (const auto& [index, value] : elements_of(values, name)) {
    if (!value.empty()) all.push_back({value, element(values, match, index)});
  }
  return all;
}

// "./a//b/" → "a/b/".
Result<std::string> location_of(const std::string& text) {
  std::string location;
  for (const std::string& part : split(text, '/')) {
    if (part.empty() || part == ".") continue;
    TRY_VOID(check_name("a part of BUILT_MODULE_LOCATION", part));
    location += part + "/";
  }
  if (!text.starts_with('/') && location.size() <= 1024) return location;
  return make_error(Errc::invalid_input, "BUILT_MODULE_LOCATION \"" + text + "\" is no folder of the source");
}

// Commands may have more than one line; other control characters have no place in a setting.
Result<void> check_characters(const ShellArrays& values) {
  for (const std::string& name : dkms_setting_names()) {
    for (const auto& [index, value] : elements_of(values, name)) {
      const bool fine = std::all_of(value.begin(), value.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t';
      });
      if (!fine) return make_error(Errc::invalid_input, name + " has a control character in it");
    }
  }
  return {};
}

// As dkms: "n", "no", "No" at its beginning; the first module's counts where there is none.
Strip strip_of(const ShellArrays& values, unsigned index) {
  std::string word = element(values, "STRIP", index);
  if (word.empty()) word = element(values, "STRIP", 0);
  return word.starts_with('n') || word.starts_with('N') ? Strip::no : Strip::yes;
}

Result<DkmsModule> module_of(const ShellArrays& values, unsigned index, const std::string& default_name) {
  DkmsModule module;
  module.built_name = element(values, "BUILT_MODULE_NAME", index);
  if (module.built_name.empty()) module.built_name = default_name;
  if (module.built_name.empty()) {
    return make_error(Errc::invalid_input, "BUILT_MODULE_NAME[" + std::to_string(index) + "] is missing");
  }
  TRY_VOID(check_name("BUILT_MODULE_NAME", module.built_name));
  TRY(module.built_location, location_of(element(values, "BUILT_MODULE_LOCATION", index)));
  module.name = element(values, "DEST_MODULE_NAME", index);
  if (module.name.empty()) module.name = module.built_name;
  TRY_VOID(check_name("DEST_MODULE_NAME", module.name));
  module.location = element(values, "DEST_MODULE_LOCATION", index);
  module.strip = strip_of(values, index);
  return module;
}

Result<std::vector<DkmsModule>> modules_of(const ShellArrays& values, const std::string& package) {
  std::set<unsigned> indexes;
  for (const char* name : {"BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION"}) {
    for (const auto& [index, value] : elements_of(values, name)) {
      if (!value.empty()) indexes.insert(index);
    }
  }
  if (indexes.empty()) indexes.insert(0);
  // A single module may be called as its package is.
  const std::string default_name = indexes.size() == 1 ? package : std::string();
  std::vector<DkmsModule> modules;
  std::set<std::string> names;
  for (const unsigned index : indexes) {
    TRY(DkmsModule module, module_of(values, index, default_name));
    if (!names.insert(module_name_form(module.name)).second) {
      return make_error(Errc::invalid_input, "two modules are called " + module.name);
    }
    modules.push_back(std::move(module));
  }
  return modules;
}

Result<DkmsExclusive> exclusive_of(const ShellArrays& values) {
  DkmsExclusive exclusive;
  std::string words;
  const std::pair<const char*, std::string*> settings[] = {{"BUILD_EXCLUSIVE_KERNEL", &exclusive.kernel},
                                                           {"BUILD_EXCLUSIVE_KERNEL_MIN", &exclusive.kernel_min},
                                                           {"BUILD_EXCLUSIVE_KERNEL_MAX", &exclusive.kernel_max},
                                                           {"BUILD_EXCLUSIVE_ARCH", &exclusive.arch},
                                                           {"BUILD_EXCLUSIVE_CONFIG", &words}};
  for (const auto& [name, into] : settings) {
    *into = plain_value(values, name);
    const Elements& elements = elements_of(values, name);
    if (!elements.empty() && elements.rbegin()->first > 0) {
      return make_error(Errc::unsupported,
                        std::string(name) + "[" + std::to_string(elements.rbegin()->first) +
                            "] excludes a single module, which is not handled; in a copy of the source, take it out of "
                            "dkms.conf, and the module too if this kernel is not for it");
    }
  }
  std::replace_if(
      words.begin(), words.end(), [](char c) { return c == '\t' || c == '\n'; }, ' ');
  for (std::string& word : split(words, ' ')) {
    if (!word.empty()) exclusive.config.push_back(std::move(word));
  }
  return exclusive;
}

}  // namespace

const std::vector<std::string>& dkms_setting_names() {
  static const std::vector<std::string> kNames = {"PACKAGE_NAME",
                                                  "PACKAGE_VERSION",
                                                  "MAKE",
                                                  "MAKE_MATCH",
                                                  "CLEAN",
                                                  "BUILT_MODULE_NAME",
                                                  "BUILT_MODULE_LOCATION",
                                                  "DEST_MODULE_NAME",
                                                  "DEST_MODULE_LOCATION",
                                                  "STRIP",
                                                  "PATCH",
                                                  "PATCH_MATCH",
                                                  "BUILD_EXCLUSIVE_ARCH",
                                                  "BUILD_EXCLUSIVE_KERNEL",
                                                  "BUILD_EXCLUSIVE_KERNEL_MIN",
                                                  "BUILD_EXCLUSIVE_CONFIG",
                                                  "BUILD_EXCLUSIVE_KERNEL_MAX",
                                                  "PRE_BUILD",
                                                  "POST_BUILD",
                                                  "OBSOLETE_BY",
                                                  "AUTOINSTALL",
                                                  "REMAKE_INITRD",
                                                  "NO_WEAK_MODULES"};
  return kNames;
}

ShellArrays dkms_variables(const DkmsVariables& variables, const std::string& name, const std::string& version) {
  return {{"kernelver", {{0, variables.kernel_release}}},
          {"kernel_source_dir", {{0, variables.kernel_source_dir}}},
          {"arch", {{0, variables.arch}}},
          {"dkms_tree", {{0, variables.dkms_tree}}},
          {"source_tree", {{0, variables.source_tree}}},
          {"module", {{0, name}}},
          {"module_version", {{0, version}}}};
}

Result<DkmsReading> read_dkms_conf(std::string_view text, const DkmsVariables& variables) {
  DkmsReading reading;
  // Twice: what $module is stands in the file itself.
  TRY(const Assignments first, read_assignments(text, dkms_variables(variables, "", "")));
  const std::string name = plain_value(first.values, "PACKAGE_NAME");
  const std::string version = plain_value(first.values, "PACKAGE_VERSION");
  TRY(const Assignments second, read_assignments(text, dkms_variables(variables, name, version)));
  reading.needs_shell = second.needs_shell;
  if (reading.needs_shell) return reading;
  TRY(reading.conf, dkms_conf_of(second.values));
  return reading;
}

Result<DkmsConf> dkms_conf_of(const ShellArrays& values) {
  TRY_VOID(check_characters(values));
  DkmsConf conf;
  conf.package_name = plain_value(values, "PACKAGE_NAME");
  conf.package_version = plain_value(values, "PACKAGE_VERSION");
  TRY_VOID(check_name("PACKAGE_NAME", conf.package_name));
  TRY_VOID(check_name("PACKAGE_VERSION", conf.package_version));
  conf.make = matched(values, "MAKE", "MAKE_MATCH");
  conf.clean = plain_value(values, "CLEAN");
  TRY(conf.modules, modules_of(values, conf.package_name));
  conf.patches = matched(values, "PATCH", "PATCH_MATCH");
  for (const DkmsMatched& patch : conf.patches) TRY_VOID(check_relative_path("PATCH", patch.value));
  TRY(conf.exclusive, exclusive_of(values));
  conf.pre_build = plain_value(values, "PRE_BUILD");
  conf.post_build = plain_value(values, "POST_BUILD");
  conf.obsolete_by = plain_value(values, "OBSOLETE_BY");
  conf.autoinstall = plain_value(values, "AUTOINSTALL");
  conf.remake_initrd = plain_value(values, "REMAKE_INITRD");
  conf.no_weak_modules = plain_value(values, "NO_WEAK_MODULES");
  return conf;
}

}  // namespace driverext
