// Packing: what goes into an extension image, collected from module files and directories.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acquire/pack_modules.hpp"
#include "base/result.hpp"
#include "sysext/image_builder.hpp"

namespace driverext {

/// What the environment variable SOURCE_DATE_EPOCH says: seconds since 1970; nothing if it is not set.
/// Errors: Errc::invalid_input.
Result<std::optional<uint64_t>> source_date_epoch();

struct PackInput {
  Kind kind = Kind::modules;
  ManifestInput manifest;
  std::string modules;  ///< modules, complete: directory with the *.ko[.xz|.zst|.gz] files, all for one kernel
  std::string tree;     ///< userland, complete: with usr/ only; source: the Kbuild tree; builder: the root file system
  std::string machine;  ///< that the tree is for, as uname -m spells it; empty: this one
  std::string definition;               ///< modules, userland, complete: the driver's definition (TOML); empty: none
  std::string source_digest;            ///< SHA-256 of the sources that all was made from, hex; empty: not told
  std::vector<std::string> built_from;  ///< modules, complete: root hashes (hex) of the images that it was built from
  std::string output;
};

/// What to build, and what was noticed on the way. Owns files that the request names: it outlives build_image().
struct PackResult {
  BuildRequest request;
  std::vector<std::string> warnings;     ///< for people, a line each
  std::optional<ScratchFolder> scratch;  ///< modules that were compressed
};

/// Reads the modules, fills in what they tell, and checks that the manifest that results can be read back. Files go
/// into the image as they are: who signs or strips modules does so before. SOURCE_DATE_EPOCH sets the creation time,
/// else it is that of the newest file.
Result<PackResult> collect_image(const PackInput& input);

}  // namespace driverext
