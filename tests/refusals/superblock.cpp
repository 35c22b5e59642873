// Fields of the dm-verity superblock. It is not signed: what the salt and the numbers say is proven by the tree.
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

std::string with_field(size_t offset, uint64_t value, size_t size) {
  std::string image = sample_bytes();
  const uint64_t begin = partitions_of(image)[1].offset + offset;
  for (size_t i = 0; i < size; ++i) image[begin + i] = static_cast<char>(value >> (8 * i));
  return image;
}

Refusal field(const std::string& name, size_t offset, uint64_t value, size_t size, const std::string& says) {
  return {"should-fail-superblock-" + name, Stage::container, "image-malformed",
          [=] { return with_field(offset, value, size); }, says};
}

}  // namespace

std::vector<Refusal> superblock_refusals() {
  const uint64_t blocks = partitions_of(sample_bytes())[0].size / 4096;
  return {
      field("without-magic", 0, 'V', 1, "there is none"),
      field("magic-that-goes-on", 7, '2', 1, "there is none"),
      field("of-version-0", 8, 0, 4, "version"),
      field("of-version-2", 8, 2, 4, "version"),
      field("of-hash-type-0", 12, 0, 4, "hash type"),
      field("with-sha1", 32, 0x31616873, 8, "algorithm"),
      field("with-sha512", 32, 0x323135616873, 8, "algorithm"),
      field("without-algorithm", 32, 0, 8, "algorithm"),
      field("with-text-behind-the-algorithm", 39, 'x', 1, "algorithm"),
      field("with-512-byte-data-blocks", 64, 512, 4, "VerityDataBlockSizeBytes=4096"),
      field("with-data-blocks-of-2-gib", 64, 1U << 31, 4, "blocks"),
      field("with-data-blocks-of-no-size", 64, 0, 4, "blocks"),
      field("with-512-byte-hash-blocks", 68, 512, 4, "VerityHashBlockSizeBytes=4096"),
      field("with-hash-blocks-of-8-kib", 68, 8192, 4, "blocks"),
      field("with-no-data", 72, 0, 8, "impossible"),
      field("with-one-block-less", 72, blocks - 1, 8, "disagree"),
      field("with-one-block-more", 72, blocks + 1, 8, "disagree"),
      field("with-2-to-64-blocks", 72, UINT64_MAX, 8, "impossible"),
      field("whose-size-wraps", 72, uint64_t{1} << 52, 8, "impossible"),
      field("with-a-salt-of-257-bytes", 80, 257, 2, "salt"),
      field("with-a-shorter-salt", 80, 31, 2, "reserved"),
      field("with-data-before-the-salt", 82, 1, 1, "reserved"),
      field("with-data-behind-the-salt", 88 + 255, 1, 1, "reserved"),
      field("with-data-behind-it", 4095, 1, 1, "reserved"),
      {"should-fail-superblock-with-a-longer-salt", Stage::tree, "hash-tree-corrupt",
       [] { return with_field(80, 33, 2); }},
      {"should-fail-superblock-with-another-salt", Stage::tree, "hash-tree-corrupt",
       [] { return flipped(sample_bytes(), partitions_of(sample_bytes())[1].offset + 88); }},
  };
}

}  // namespace driverext::test
