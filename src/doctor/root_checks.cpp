// The driver root, the firmware path and what is merged into the host.
#include <algorithm>

#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

Result<std::optional<Manifest>> manifest_in(const Dir& root, const std::string& folder) {
  const std::string name = (folder.empty() ? "" : folder + "/") + std::string(kManifestPath);
  TRY(const auto text, root.read_if_there(name, kMaxManifestSize));
  if (!text) return std::optional<Manifest>();
  TRY(Manifest manifest, parse_manifest(*text));
  return std::optional(std::move(manifest));
}

// The version of the user part that the last provision put into place; empty: it had none.
std::string userland_version(const DoctorInput& input) {
  if (!input.status.is_object()) return {};
  const auto userland = input.status.find("userland");
  if (userland == input.status.end() || !userland->is_object()) return {};
  const auto version = userland->find("version");
  return version != userland->end() && version->is_string() ? version->get<std::string>() : std::string();
}

}  // namespace

Result<Diagnosis> driver_root(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.definition) return without_definition(input);
  if (!input.definition->root) return not_applicable("the driver has no driver root");
  const std::string& place = input.definition->root->path;
  TRY(const auto mounts, mount_places(input.root));
  if (!mounts) return unknown("the kernel does not show /proc/self/mountinfo");
  const bool is_mounted = std::find(mounts->begin(), mounts->end(), place) != mounts->end();
  if (is_mounted && !driver_runs(input)) return problem("/" + place + " is mounted, but the driver is not loaded");
  if (is_mounted) return fine("/" + place + " is mounted");
  const Result<std::vector<std::string>> left = input.root.list(place);
  if (left && !left->empty()) {
    return problem("/" + place + " is not mounted, but is not empty: something else has put " + left->front() +
                   " there");
  }
  if (!is_provisioned(input)) return not_applicable("the driver is not provisioned");
  TRY(const auto manifest, active_manifest(input));
  const bool expected = !userland_version(input).empty() || (manifest && manifest->has_userland());
  if (expected) return problem("/" + place + " is not mounted any more, though the driver is provisioned");
  return not_applicable("the image has no user libraries");
}

Result<Diagnosis> driver_root_version(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  if (!input.definition->root || !driver_runs(input)) return not_applicable("the driver is not loaded");
  TRY(const auto manifest, manifest_in(input.root, input.definition->root->path));
  if (!manifest) return not_applicable("there is no driver root of driverext");
  for (const DefinedModule& module : input.definition->modules) {
    TRY(const std::string loaded, loaded_version(input.root, module.name));
    if (loaded.empty() || loaded == manifest->version) continue;
    return problem("/" + input.definition->root->path + " is of version " + manifest->version + ", module " +
                   module.name + " is " + loaded);
  }
  return fine("/" + input.definition->root->path + " is of version " + manifest->version);
}

Result<Diagnosis> firmware_path(const DoctorInput& input) {
  TRY(const auto path, text_of(input.root, "sys/module/firmware_class/parameters/path"));
  if (!path || path->empty()) return fine("the kernel looks for firmware in its usual places only");
  const std::string folder = below_root(*path);
  const Result<std::vector<std::string>> files = input.root.list(folder);
  if (!is_there(input.root, folder))
    return problem("the kernel looks for firmware in " + *path + ", which is not there");
  if (files && files->empty()) return problem("the kernel looks for firmware in " + *path + ", which is empty");
  return fine("the kernel looks for firmware in " + *path + " too");
}

Result<Diagnosis> merged_extension(const DoctorInput& input) {
  if (!input.config || !input.config->merge) return not_applicable("the configuration does not merge the driver");
  if (!is_there(input.root, "usr/bin/systemd-sysext") && !is_there(input.root, "bin/systemd-sysext")) {
    return problem("[host] merge is set, but the host has no systemd-sysext");
  }
  if (!is_provisioned(input)) return not_applicable("the driver is not provisioned");
  TRY(const auto active, active_manifest(input));
  std::string expected = userland_version(input);
  if (expected.empty() && active && active->has_userland()) expected = active->version;
  if (expected.empty()) return not_applicable("the image has no programs to merge");
  TRY(const auto merged, manifest_in(input.root, ""));
  if (!merged) return problem("version " + expected + " is not merged into /usr any more");
  if (merged->driver == input.config->driver && merged->version == expected) {
    return fine("version " + expected + " is merged into /usr");
  }
  return problem("/usr shows " + merged->driver + " " + merged->version + ", not version " + expected);
}

}  // namespace driverext::checks
