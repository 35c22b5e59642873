// dm-verity superblocks.
#include "sysext/verity.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto superblock = parse_verity_superblock(as_bytes(input));
  if (!superblock) return;
  require(superblock->salt.size() <= 256);
  // No size that follows from the numbers wraps around.
  const uint64_t area = hash_area_size(superblock->data_blocks);
  require(area >= kVerityBlock && area % kVerityBlock == 0 && area / kVerityBlock <= superblock->data_blocks + 1);
  const Bytes again = format_verity_superblock(*superblock);
  const auto reread = parse_verity_superblock(again);
  require(reread && reread->data_blocks == superblock->data_blocks && reread->salt == superblock->salt);
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
