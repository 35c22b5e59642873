// Where systemd-sysext looks for extensions, and what those that are folders say of themselves. An image's own files
// are not looked at: that would mean to mount what nobody has verified.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct ExtensionFile {
  std::string folder;  ///< relative to the root, "etc/extensions"
  std::string name;    ///< "docker-flatcar.raw", or a folder's name
  [[nodiscard]] std::string path() const { return folder + "/" + name; }
};

/// Everything in systemd-sysext's search path that is not hidden (systemd-sysext(8)).
Result<std::vector<ExtensionFile>> extension_files(const Dir& root);

struct ExtensionRelease {
  std::string name;    ///< of the extension
  std::string folder;  ///< relative to the root; empty: merged already, from wherever
  std::string text;    ///< of extension-release.NAME
};

/// Of every extension that is a folder, and of those that are merged into the host's /usr. Each name once.
Result<std::vector<ExtensionRelease>> extension_releases(const Dir& root);

}  // namespace driverext
