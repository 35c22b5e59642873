// dm-verity superblocks.
#include "sysext/verity.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void check(std::string_view input, BlockSizes sizes) {
  const auto superblock = parse_verity_superblock(as_bytes(input), sizes);
  if (!superblock) return;
  require(superblock->salt.size() <= 256);
  // No size that follows from the numbers wraps around.
  const uint64_t block = superblock->hash_block_size;
  const uint64_t area = hash_area_size(superblock->data_blocks, block);
  require(area >= block && area % block == 0 && area / block <= superblock->data_blocks + 1);
  const Bytes again = format_verity_superblock(*superblock);
  const auto reread = parse_verity_superblock(again, sizes);
  require(reread && reread->data_blocks == superblock->data_blocks && reread->salt == superblock->salt &&
          reread->data_block_size == superblock->data_block_size && reread->hash_block_size == block);
}

void run(std::string_view input) {
  check(input, BlockSizes::only_4096);
  check(input, BlockSizes::any);
}

std::vector<std::string> seeds() {
  VeritySuperblock superblock;
  superblock.data_blocks = 129;
  superblock.salt = Bytes(32, std::byte{0x5a});
  return {std::string(as_text(format_verity_superblock(superblock)))};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(verity, driverext::fuzz::run, driverext::fuzz::seeds)
