// The tree and the data: what the signatures do not cover themselves.
#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

// So much data that its tree has two levels: one block on top, leaves below.
const std::string& large_bytes() { return kept_bytes({.padding = 700'000}); }

std::string flipped_in(size_t partition, uint64_t offset) {
  return flipped(large_bytes(), partitions_of(large_bytes())[partition].offset + offset);
}

std::string flipped_from_end(size_t partition, uint64_t from_end) {
  return flipped_in(partition, partitions_of(large_bytes())[partition].size - from_end);
}

Refusal tree(const std::string& name, std::function<std::string()> bytes) {
  return {"should-fail-" + name, Stage::tree, "hash-tree-corrupt", std::move(bytes)};
}
Refusal data(const std::string& name, std::function<std::string()> bytes) {
  return {"should-fail-" + name, Stage::data, "data-corrupt", std::move(bytes)};
}

// All that is signed of one image, over the blocks of another.
std::string signature_moved(const std::string& from, const std::string& to) {
  const OrderedJson theirs = signature_of(from);
  return with_signature(with_uuids_of(to, theirs["rootHash"]), theirs);
}

}  // namespace

std::vector<Refusal> block_refusals() {
  return {
      tree("top-of-the-tree-changed", [] { return flipped_in(1, 4096); }),
      tree("unused-part-of-the-top-changed", [] { return flipped_in(1, 2 * 4096 - 1); }),
      tree("first-leaf-of-the-tree-changed", [] { return flipped_in(1, 2 * 4096); }),
      tree("last-leaf-of-the-tree-changed", [] { return flipped_from_end(1, 4096); }),
      tree("unused-part-of-a-leaf-changed", [] { return flipped_from_end(1, 1); }),
      tree("tree-wiped",
           [] {
             std::string image = large_bytes();
             const Partition partition = partitions_of(image)[1];
             return image.replace(partition.offset + 4096, partition.size - 4096, partition.size - 4096, '\0');
           }),
      tree("signature-of-another-image",
           [] { return signature_moved(kept_bytes({.version = "2.0"}), sample_bytes()); }),
      tree("old-signature-on-new-data", [] { return signature_moved(sample_bytes(), kept_bytes({.version = "2.0"})); }),
      data("first-data-block-changed", [] { return flipped_in(0, 0); }),
      data("middle-data-block-changed",
           [] { return flipped_in(0, partitions_of(large_bytes())[0].size / 8192 * 4096); }),
      data("last-data-block-changed", [] { return flipped_from_end(0, 4096); }),
      data("last-data-byte-changed", [] { return flipped_from_end(0, 1); }),
      data("two-data-blocks-swapped",
           [] {
             std::string image = large_bytes();
             const uint64_t begin = partitions_of(image)[0].offset + uint64_t{10} * 4096;
             const std::string first = image.substr(begin, 4096);
             image.replace(begin, 4096, image.substr(begin + 4096, 4096));
             return image.replace(begin + 4096, 4096, first);
           }),
      data("data-block-zeroed",
           [] {
             std::string image = large_bytes();
             return image.replace(partitions_of(image)[0].offset + uint64_t{20} * 4096, 4096, 4096, '\0');
           }),
  };
}

}  // namespace driverext::test
