#include "doctor/extension_folders.hpp"

#include <algorithm>

namespace driverext {
namespace {

constexpr const char* kSearchPath[] = {"etc/extensions", "run/extensions", "var/lib/extensions", "usr/lib/extensions"};
constexpr std::string_view kReleases = "usr/lib/extension-release.d";
constexpr std::string_view kReleasePrefix = "extension-release.";
constexpr size_t kMaxRelease = 65536;

}  // namespace

Result<std::vector<ExtensionFile>> extension_files(const Dir& root) {
  std::vector<ExtensionFile> files;
  for (const char* folder : kSearchPath) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (!name.starts_with('.')) files.push_back({folder, name});
    }
  }
  return files;
}

Result<std::vector<ExtensionRelease>> extension_releases(const Dir& root) {
  std::vector<ExtensionRelease> releases;
  const auto add = [&](const std::string& name, const std::string& folder, const std::string& file) {
    const bool known = std::any_of(releases.begin(), releases.end(),
                                   [&](const ExtensionRelease& release) { return release.name == name; });
    if (known) return;
    const Result<std::optional<std::string>> text = root.read_if_there(file, kMaxRelease);
    if (text && *text) releases.push_back({name, folder, **text});
  };
  TRY(const std::vector<ExtensionFile> files, extension_files(root));
  for (const ExtensionFile& file : files) {
    if (file.name.ends_with(".raw")) continue;
    add(file.name, file.path(),
        file.path() + "/" + std::string(kReleases) + "/" + std::string(kReleasePrefix) + file.name);
  }
  TRY(const std::vector<std::string> merged, root.list(kReleases));
  for (const std::string& name : merged) {
    if (!name.starts_with(kReleasePrefix)) continue;
    add(name.substr(kReleasePrefix.size()), "", std::string(kReleases) + "/" + name);
  }
  return releases;
}

}  // namespace driverext
