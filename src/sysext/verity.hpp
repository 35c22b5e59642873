// dm-verity hash areas: their superblock, and where the blocks of the hash tree lie.
//
// Format: kernel Documentation/admin-guide/device-mapper/verity.rst and cryptsetup's superblock;
// hash type 1, SHA-256, 4096-byte blocks, levels stored top first.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

constexpr uint64_t kVerityBlock = 4096;

struct VeritySuperblock {
  Guid uuid{};
  uint64_t data_blocks = 0;
  Bytes salt;  ///< at most 256 bytes
  uint64_t data_block_size = kVerityBlock;
  uint64_t hash_block_size = kVerityBlock;
};

/// Which block sizes are accepted. systemd-repart before 255 makes blocks of one sector: such an image can be shown and
/// checked, never attached.
enum class BlockSizes { only_4096, any };

/// Errors: Reason::image_malformed if it is not one that driverext makes or accepts. What stands behind the fields must
/// be zero, up to the end of `block` or of the superblock's own hash block.
Result<VeritySuperblock> parse_verity_superblock(ByteSpan block, BlockSizes sizes = BlockSizes::only_4096);
/// One whole block (kVerityBlock bytes).
Bytes format_verity_superblock(const VeritySuperblock& superblock);

/// Blocks of one level of the tree; the first level in the list is the top.
struct TreeLevel {
  uint64_t first_block = 0;  ///< counted from the block behind the superblock
  uint64_t blocks = 0;
};
std::vector<TreeLevel> tree_levels(uint64_t data_blocks, uint64_t hash_block_size = kVerityBlock);
/// Bytes of superblock and tree together.
uint64_t hash_area_size(uint64_t data_blocks, uint64_t hash_block_size = kVerityBlock);

}  // namespace driverext
