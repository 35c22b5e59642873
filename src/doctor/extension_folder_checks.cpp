// Extensions that are folders, and the module index that one of them may hide.
#include <algorithm>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "doctor/extension_folders.hpp"

namespace driverext::checks {
namespace {

constexpr std::string_view kModules = "usr/lib/modules";

Result<std::string> os_release(const Dir& root) {
  for (const char* name : {"etc/os-release", "usr/lib/os-release"}) {
    TRY(const auto text, root.read_if_there(name, kMaxLook));
    if (text) return *text;
  }
  return std::string();
}

bool is_among(const std::string& words, const std::string& word) {
  const std::vector<std::string> list = split(words, ' ');
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Why systemd passes over it, in the order of its extension_release_validate(); empty if it does not. ID_LIKE counts
// from v257 on: with an older one this says too little, never too much.
std::string mismatch(const std::string& extension, const std::string& host, const std::string& architecture) {
  const std::string machine = env_value(extension, "ARCHITECTURE");
  if (!machine.empty() && machine != "_any" && !architecture.empty() && machine != architecture) {
    return "is for " + machine + ", not for " + architecture;
  }
  const std::string id = env_value(extension, "ID");
  if (id.empty() || id == "_any") return {};
  const std::string host_id = env_value(host, "ID");
  if (id != host_id && !is_among(env_value(host, "ID_LIKE"), id)) return "is for " + id + ", not for " + host_id;
  const std::string level = env_value(extension, "SYSEXT_LEVEL");
  const std::string host_level = env_value(host, "SYSEXT_LEVEL");
  if (!level.empty() && !host_level.empty()) {
    return level == host_level ? "" : "is for SYSEXT_LEVEL " + level + ", not " + host_level;
  }
  const std::string version = env_value(extension, "VERSION_ID");
  const std::string host_version = env_value(host, "VERSION_ID");
  if (host_version.empty() || version == host_version) return {};
  return version.empty() ? "says no VERSION_ID" : "is for " + id + " " + version + ", not " + host_version;
}

// "modules.dep" and its like below a folder of modules; not "modules.order", which depmod only reads.
Result<std::string> index_in(const Dir& root, const std::string& folder) {
  TRY(const std::vector<std::string> releases, root.list(folder));
  for (const std::string& release : releases) {
    for (const char* index : {"modules.dep", "modules.dep.bin", "modules.alias.bin"}) {
      const std::string name = folder + "/" + release + "/" + index;
      if (is_there(root, name)) return name;
    }
  }
  return std::string();
}

}  // namespace

Result<Diagnosis> extension_os(const DoctorInput& input) {
  TRY(const std::vector<ExtensionRelease> releases, extension_releases(input.root));
  TRY(const std::string host, os_release(input.root));
  if (env_value(host, "ID").empty()) return unknown("the host has no os-release");
  std::vector<std::string> wrong;
  for (const ExtensionRelease& release : releases) {
    if (release.folder.empty()) continue;  // merged: systemd has accepted it
    const std::string why = mismatch(release.text, host, input.facts ? input.facts->architecture : "");
    if (!why.empty()) wrong.push_back("/" + release.folder + " " + why);
  }
  return problem_if_any(wrong, "no extension folder is for another OS");
}

Result<Diagnosis> extension_level(const DoctorInput& input) {
  TRY(const std::vector<ExtensionRelease> releases, extension_releases(input.root));
  TRY(const std::string host, os_release(input.root));
  if (env_value(host, "SYSEXT_LEVEL").empty()) return not_applicable("this OS has no SYSEXT_LEVEL");
  std::vector<std::string> wrong;
  for (const ExtensionRelease& release : releases) {
    const std::string level = env_value(release.text, "SYSEXT_LEVEL");
    if (release.folder.empty() || level.empty()) continue;
    if (!is_there(input.root, release.folder + "/" + std::string(kModules))) continue;
    wrong.push_back("/" + release.folder + " has kernel modules and matches every release with SYSEXT_LEVEL " + level);
  }
  return problem_if_any(wrong, "no extension folder binds kernel modules to a SYSEXT_LEVEL");
}

Result<Diagnosis> module_index(const DoctorInput& input) {
  TRY(const std::vector<ExtensionFile> files, driverext::extension_files(input.root));
  std::vector<std::string> wrong;
  for (const ExtensionFile& file : files) {
    if (file.name.ends_with(".raw")) continue;
    TRY(const std::string index, index_in(input.root, file.path() + "/" + std::string(kModules)));
    if (!index.empty()) wrong.push_back("/" + index + " takes the place of the host's");
  }
  if (!wrong.empty() || !input.facts) return problem_if_any(wrong, "no extension folder has a module index");
  // What an image brought shows in the index itself: the host's own modules are not in it.
  const std::string folder = std::string(kModules) + "/" + input.facts->kernel_release;
  TRY(const auto index, input.root.read_if_there(folder + "/modules.dep", kMaxLook));
  if (!index) return fine("no extension folder has a module index");
  if (trim(*index).empty() || !is_there(input.root, folder + "/kernel")) {
    return fine("the kernel has no modules of its own");
  }
  const bool has_own = index->starts_with("kernel/") || index->find("\nkernel/") != std::string::npos;
  if (has_own) return fine("the index of modules lists the kernel's own");
  return problem("/" + folder + "/modules.dep lists none of the kernel's own modules");
}

}  // namespace driverext::checks
