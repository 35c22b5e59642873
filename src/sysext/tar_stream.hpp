// An image's tree as a tar archive, written to a pipe: mksquashfs takes it in without a copy on the disk, whatever file
// systems the sources are on, and sees names, owners, modes and times as they are to be in the image.
//
// Format: POSIX.1-2017 pax interchange format.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.hpp"
#include "sysext/image_tree.hpp"

namespace driverext {

struct TarOptions {
  uint64_t time = 0;  ///< of every entry, seconds since 1970
  /// Bytes of files.
  std::function<void(uint64_t done, uint64_t total)> progress = {};
};

/// Errors: Errc::invalid_input if a source is no longer what was listed; Errc::system with EPIPE if the reader has gone
/// (SIGPIPE must be blocked in the calling thread).
Result<void> write_tar(int pipe, const TreeEntries& entries, const TarOptions& options);

}  // namespace driverext
