#include "sysext/verity.hpp"

#include <algorithm>
#include <cstring>

#include "crypto/digest.hpp"

namespace driverext {
namespace {

constexpr std::string_view kMagic{"verity\0\0", 8};
constexpr std::string_view kAlgorithm = "sha256";
constexpr size_t kSuperblockSize = 512;
// 1 TiB of data: no size or offset that follows from the number, which is not signed, can wrap around.
constexpr uint64_t kMaxDataBlocks = uint64_t{1} << 28;

Error malformed(std::string what) {
  return make_error(Errc::untrusted, Reason::image_malformed, "dm-verity superblock: " + std::move(what));
}

}  // namespace

Result<VeritySuperblock> parse_verity_superblock(ByteSpan block, BlockSizes sizes) {
  if (block.size() < kSuperblockSize || as_text(block.first(kMagic.size())) != kMagic)
    return malformed("there is none");
  if (load_le<uint32_t>(block, 8) != 1) return malformed("unknown version");
  if (load_le<uint32_t>(block, 12) != 1) return malformed("hash type is not 1");
  const ByteSpan algorithm = block.subspan(32, 32);
  if (as_text(algorithm.first(kAlgorithm.size())) != kAlgorithm || !is_all_zero(algorithm.subspan(kAlgorithm.size()))) {
    return malformed("algorithm is not sha256");
  }
  VeritySuperblock superblock;
  superblock.data_block_size = load_le<uint32_t>(block, 64);
  superblock.hash_block_size = load_le<uint32_t>(block, 68);
  const auto possible = [&](uint64_t size) {
    return size == kVerityBlock || (sizes == BlockSizes::any && (size == 512 || size == 1024 || size == 2048));
  };
  if (!possible(superblock.data_block_size) || !possible(superblock.hash_block_size)) {
    return malformed("data and hash blocks of " + std::to_string(superblock.data_block_size) + " and " +
                     std::to_string(superblock.hash_block_size) +
                     " bytes, not of 4096 (systemd-repart from 255 on makes those with VerityDataBlockSizeBytes=4096 "
                     "and VerityHashBlockSizeBytes=4096)");
  }
  std::copy_n(block.begin() + 16, superblock.uuid.size(), superblock.uuid.begin());
  superblock.data_blocks = load_le<uint64_t>(block, 72);
  if (superblock.data_blocks == 0 ||
      superblock.data_blocks > kMaxDataBlocks * (kVerityBlock / superblock.data_block_size)) {
    return malformed("impossible number of data blocks");
  }
  const size_t salt_size = load_le<uint16_t>(block, 80);
  if (salt_size > 256) return malformed("salt of more than 256 bytes");
  superblock.salt.assign(block.begin() + 88, block.begin() + 88 + static_cast<ptrdiff_t>(salt_size));
  const size_t end = std::min<size_t>(block.size(), superblock.hash_block_size);
  if (!is_all_zero(block.subspan(82, 6)) || !is_all_zero(block.first(end).subspan(88 + salt_size))) {
    return malformed("reserved bytes are in use");
  }
  return superblock;
}

Bytes format_verity_superblock(const VeritySuperblock& superblock) {
  Bytes block(kVerityBlock);
  std::memcpy(block.data(), kMagic.data(), kMagic.size());
  store_le<uint32_t>(block, 8, 1);
  store_le<uint32_t>(block, 12, 1);
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), block.begin() + 16);
  std::memcpy(block.data() + 32, kAlgorithm.data(), kAlgorithm.size());
  store_le<uint32_t>(block, 64, static_cast<uint32_t>(superblock.data_block_size));
  store_le<uint32_t>(block, 68, static_cast<uint32_t>(superblock.hash_block_size));
  store_le<uint64_t>(block, 72, superblock.data_blocks);
  store_le<uint16_t>(block, 80, static_cast<uint16_t>(superblock.salt.size()));
  std::copy(superblock.salt.begin(), superblock.salt.end(), block.begin() + 88);
  return block;
}

std::vector<TreeLevel> tree_levels(uint64_t data_blocks, uint64_t hash_block_size) {
  const uint64_t digests_per_block = hash_block_size / sizeof(Digest);
  std::vector<TreeLevel> levels;
  uint64_t blocks = data_blocks;
  while (blocks > 1) {
    blocks = (blocks + digests_per_block - 1) / digests_per_block;
    levels.insert(levels.begin(), TreeLevel{0, blocks});
  }
  uint64_t first = 0;
  for (TreeLevel& level : levels) {
    level.first_block = first;
    first += level.blocks;
  }
  return levels;
}

uint64_t hash_area_size(uint64_t data_blocks, uint64_t hash_block_size) {
  uint64_t blocks = 1;
  for (const TreeLevel& level : tree_levels(data_blocks, hash_block_size)) blocks += level.blocks;
  return blocks * hash_block_size;
}

}  // namespace driverext
