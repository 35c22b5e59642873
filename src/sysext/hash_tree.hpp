// Making and checking the dm-verity hash trees of image files, on all processors, window by window: memory does not
// grow with the image.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.hpp"
#include "crypto/sha256_blocks.hpp"
#include "sysext/verity.hpp"

namespace driverext {

struct HashOptions {
  Sha256Backend backend = sha256_backends().back();
  int cancel_fd = -1;  ///< readable: the work stops with Errc::transient; -1: there is none
  /// Bytes of data; called by the calling thread alone.
  std::function<void(uint64_t done, uint64_t total)> progress = {};
};

/// Where something begins in an open file.
struct FilePlace {
  int fd = -1;
  uint64_t offset = 0;
};

/// Hashes the data and writes superblock and tree to `hash`. Returns the root hash.
Result<Digest> write_hash_area(FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                               const HashOptions& options = {});

/// The same for data that is yet to be copied to its place: read once. `from` holds `size` bytes; what is missing of
/// the last block is zeros.
struct CopySource {
  FilePlace from;
  uint64_t size = 0;
};
Result<Digest> copy_and_hash(CopySource source, FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                             const HashOptions& options = {});

/// Checks every block of the tree against the one above it, and the top against the root hash; data blocks are not
/// read. Errors: Reason::hash_tree_corrupt; Reason::image_malformed if the file ends before the tree.
Result<void> check_hash_tree(FilePlace hash, const VeritySuperblock& superblock, const Digest& root_hash,
                             const HashOptions& options = {});

/// Tree, and every data block once. No block of the tree is read again after it was checked.
/// Errors: as above, and Reason::data_corrupt with the number of the first wrong block.
Result<void> check_all_blocks(FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                              const Digest& root_hash, const HashOptions& options = {});

}  // namespace driverext
