// The modules of an image: read, put on record, and decompressed where they are not plain.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/scratch_folder.hpp"
#include "sysext/image_builder.hpp"

namespace driverext {

struct PackedModules {
  std::vector<ModuleRecord> records;
  std::vector<ImageContent> files;
  std::string vermagic;  ///< of all of them
  std::string kernel_release;
  std::string architecture;  ///< as systemd spells it
  std::string license;       ///< of the first
  std::string toolchain;     ///< what compiled them, in the compilers' own words
  std::optional<ScratchFolder> scratch;
};

/// All modules of a folder, which have to be for one kernel. Those that are compressed are decompressed into a scratch
/// folder beside `output`: inside an image that is compressed itself they would gain nothing.
Result<PackedModules> pack_modules(const std::string& folder, const std::string& driver, const std::string& output);

}  // namespace driverext
