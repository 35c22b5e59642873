#include "sysext/verity.hpp"

#include <algorithm>
#include <cstring>

#include "crypto/digest.hpp"

namespace driverext {
namespace {

constexpr uint64_t kDigestsPerBlock = kVerityBlock / sizeof(Digest);
constexpr std::string_view kMagic{"verity\0\0", 8};
constexpr std::string_view kAlgorithm = "sha256";
// 1 TiB of data: no size or offset that follows from the number, which is not signed, can wrap around.
constexpr uint64_t kMaxDataBlocks = uint64_t{1} << 28;

Error malformed(std::string what) {
  return make_error(Errc::untrusted, Reason::image_malformed, "dm-verity superblock: " + std::move(what));
}

}  // namespace

Result<VeritySuperblock> parse_verity_superblock(ByteSpan block) {
  if (block.size() < 512 || as_text(block.first(kMagic.size())) != kMagic) return malformed("there is none");
  if (load_le<uint32_t>(block, 8) != 1) return malformed("unknown version");
  if (load_le<uint32_t>(block, 12) != 1) return malformed("hash type is not 1");
  const std::string_view algorithm = as_text(block.subspan(32, 32));
  if (algorithm.substr(0, algorithm.find('\0')) != kAlgorithm) return malformed("algorithm is not sha256");
  if (load_le<uint32_t>(block, 64) != kVerityBlock || load_le<uint32_t>(block, 68) != kVerityBlock) {
    return malformed("block sizes are not 4096 bytes");
  }
  VeritySuperblock superblock;
  std::copy_n(block.begin() + 16, superblock.uuid.size(), superblock.uuid.begin());
  superblock.data_blocks = load_le<uint64_t>(block, 72);
  if (superblock.data_blocks == 0 || superblock.data_blocks > kMaxDataBlocks) {
    return malformed("impossible number of data blocks");
  }
  const size_t salt_size = load_le<uint16_t>(block, 80);
  if (salt_size > 256) return malformed("salt of more than 256 bytes");
  superblock.salt.assign(block.begin() + 88, block.begin() + 88 + static_cast<ptrdiff_t>(salt_size));
  return superblock;
}

Bytes format_verity_superblock(const VeritySuperblock& superblock) {
  Bytes block(kVerityBlock);
  std::memcpy(block.data(), kMagic.data(), kMagic.size());
  store_le<uint32_t>(block, 8, 1);
  store_le<uint32_t>(block, 12, 1);
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), block.begin() + 16);
  std::memcpy(block.data() + 32, kAlgorithm.data(), kAlgorithm.size());
  store_le<uint32_t>(block, 64, kVerityBlock);
  store_le<uint32_t>(block, 68, kVerityBlock);
  store_le<uint64_t>(block, 72, superblock.data_blocks);
  store_le<uint16_t>(block, 80, static_cast<uint16_t>(superblock.salt.size()));
  std::copy(superblock.salt.begin(), superblock.salt.end(), block.begin() + 88);
  return block;
}

std::vector<TreeLevel> tree_levels(uint64_t data_blocks) {
  std::vector<TreeLevel> levels;
  uint64_t blocks = data_blocks;
  while (blocks > 1) {
    blocks = (blocks + kDigestsPerBlock - 1) / kDigestsPerBlock;
    levels.insert(levels.begin(), TreeLevel{0, blocks});
  }
  uint64_t first = 0;
  for (TreeLevel& level : levels) {
    level.first_block = first;
    first += level.blocks;
  }
  return levels;
}

uint64_t hash_area_size(uint64_t data_blocks) {
  uint64_t blocks = 1;
  for (const TreeLevel& level : tree_levels(data_blocks)) blocks += level.blocks;
  return blocks * kVerityBlock;
}

}  // namespace driverext
