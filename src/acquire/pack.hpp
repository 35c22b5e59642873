// Packing: what goes into an extension image, collected from module files and directories.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sysext/image_builder.hpp"

namespace driverext {

struct PackInput {
  Kind kind = Kind::modules;
  ManifestInput manifest;
  std::string modules;  ///< modules, complete: directory with the *.ko files, all for one kernel
  std::string tree;     ///< complete: with usr/; source: the Kbuild tree; builder: the root file system
  std::string output;
};

/// Reads the modules, fills in what they tell, and checks that the manifest that results can be read back.
/// SOURCE_DATE_EPOCH sets the creation time, else it is that of the newest file.
Result<BuildRequest> collect_image(const PackInput& input);

}  // namespace driverext
