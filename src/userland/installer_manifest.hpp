// The `.manifest` of an unpacked driver package: which file is what, and where it belongs. It is what the package's own
// installer goes by; format as that program (published under the GPL, manifest.c and install-from-cwd.c) reads it.
//
// Some lines for people and old installers (the first is the package's name, the second its version), then one line a
// file:  PATH MODE TYPE [NATIVE|COMPAT32] [CLASSIC|NEW] [INHERIT_PATH_DEPTH:N | FOLDER] [TARGET] [GLVND|NON_GLVND]
// [MODULE:NAME]. Mode 0000 is a symbolic link to TARGET, and PATH then only its name. An empty line ends the list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace driverext {

constexpr size_t kMaxInstallerManifest = size_t{4} << 20;

enum class PackagedArchitecture { any, native, compat32 };

struct PackagedFile {
  std::string path;  ///< relative to the package; "kernel/nv.c", "32/libcuda.so.1"
  unsigned mode = 0;
  std::string type;  ///< "CUDA_LIB"
  PackagedArchitecture architecture = PackagedArchitecture::any;
  std::string folder;       ///< relative, mostly empty: what is stated or inherited, without slashes at its ends
  std::string target;       ///< of a symbolic link: relative to FOLDER's own top; else empty
  std::string module;       ///< part of the driver that it belongs to; may be empty
  bool superseded = false;  ///< a variant (CLASSIC, NON_GLVND) of a file that has a newer one beside it

  [[nodiscard]] bool is_link() const { return !target.empty(); }
  /// The last component of `path`.
  [[nodiscard]] std::string name() const;
};

struct InstallerManifest {
  std::string description;
  std::string version;
  std::vector<PackagedFile> files;
};

/// Strict about paths: nothing absolute but FOLDER (whose first slash is dropped), no "..", nothing hidden.
/// Errors: Errc::invalid_input with the number of the line.
Result<InstallerManifest> parse_installer_manifest(std::string_view text);

}  // namespace driverext
