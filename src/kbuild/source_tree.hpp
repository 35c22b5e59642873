// A driver's source as a folder: found, unpacked, told apart from others, and copied to where it is built.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/programs.hpp"

namespace driverext {

// `cancel_fd` readable: each gives up with Errc::transient.

/// Copies a tree with its modes, times and symbolic links to `target`, which must not be there; then removes kernel
/// modules from the copy: what comes out of a build must have been made by it.
Result<void> copy_source(const std::string& source, const std::string& target, int cancel_fd = -1);

/// Paths, below a tree, of its *.ko files, sorted; links are none.
Result<std::vector<std::string>> modules_in(const std::string& tree);

struct SourceIdentity {
  /// SHA-256, hex, over one line a file, "HASH  PATH\n" as sha256sum prints it, sorted by path; of a symbolic link,
  /// the hash is that of its target's name.
  std::string digest;
  uint64_t newest = 0;  ///< modification time of the newest file, seconds since 1970
};
Result<SourceIdentity> identify_source(const std::string& tree, int cancel_fd = -1);

/// The folder with the dkms.conf: `source` itself, or the only one of source/usr/src/*. A Debian package (a file) is
/// unpacked to `unpack_to` first; nothing of it is run. Links on the way to it are refused: they can lead to sources of
/// the host. Errors: Errc::invalid_input also for a package that is too large, or holds device nodes or set-user-id
/// files.
Result<std::string> find_dkms_source(Programs& programs, const std::string& source, const std::string& unpack_to,
                                     int cancel_fd = -1);

}  // namespace driverext
