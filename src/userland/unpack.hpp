// Unpacking a compressed tar archive from a range of a file. Nothing leaves the folder that it is unpacked into, and
// nothing but files, folders and links comes to be.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "userland/self_extracting.hpp"
#include "userland/work.hpp"

namespace driverext {

/// Five times what the largest driver package known holds (1.8 GB in 1,200 entries).
struct UnpackLimits {
  uint64_t total = uint64_t{8} << 30;  ///< bytes of all files
  uint64_t file = uint64_t{2} << 30;   ///< bytes of one
  size_t entries = 100'000;
  size_t depth = 32;   ///< components of a path
  size_t path = 1024;  ///< bytes of a path, and of a link's target
};

/// The compression is known by its first bytes: gzip, bzip2, xz, zstd or none; no other program is run for it. Files
/// keep their times, and of their modes the owner's execute bit. `into` should be empty, and nobody else's.
/// Errors: Errc::invalid_input for what is damaged, too large, or would reach outside; what was unpacked before is
/// then still there.
Result<void> unpack_tar(int fd, std::string_view what, FileRange range, const Dir& into, const UserlandWork& work,
                        const UnpackLimits& limits = {});

}  // namespace driverext
