#include "sysext/foreign_image.hpp"

#include <algorithm>
#include <optional>

namespace driverext {
namespace {

constexpr uint64_t kWindow = 1 << 20;  // bytes of blocks that are read at once

// Blocks in a row, and where their digests stand one level up: in the file, or they are the root hash.
struct Blocks {
  uint64_t offset = 0;
  uint64_t count = 0;
  uint64_t size = 0;
  std::optional<uint64_t> digests;  ///< offset of the first; none: there is one block, whose digest is the root hash
};

// The number of the first block that does not match its digest.
Result<std::optional<uint64_t>> find_wrong_block(int fd, const Blocks& blocks, const Bytes& salt, const Digest& root) {
  Sha256 hash;
  Bytes window;
  Bytes expected;
  const uint64_t at_once = kWindow / blocks.size;
  for (uint64_t first = 0; first < blocks.count; first += at_once) {
    const uint64_t count = std::min(at_once, blocks.count - first);
    window.resize(count * blocks.size);
    TRY_VOID(read_exactly(fd, window, blocks.offset + first * blocks.size, "image"));
    if (blocks.digests) {
      expected.resize(count * sizeof(Digest));
      TRY_VOID(read_exactly(fd, expected, *blocks.digests + first * sizeof(Digest), "hash tree"));
    } else {
      expected.assign(root.begin(), root.end());
    }
    for (uint64_t i = 0; i < count; ++i) {
      hash.update(salt);
      hash.update(ByteSpan(window).subspan(i * blocks.size, blocks.size));
      const Digest digest = hash.finish();
      if (!std::equal(digest.begin(), digest.end(), expected.begin() + static_cast<ptrdiff_t>(i * sizeof(Digest)))) {
        return std::optional(first + i);
      }
    }
  }
  return std::optional<uint64_t>();
}

}  // namespace

Result<void> ForeignImage::check_all_data() const {
  const VeritySuperblock& verity = file_.verity();
  const Digest& root = file_.signature_block().root_hash;
  std::optional<uint64_t> digests;
  for (const TreeLevel& level : tree_levels(verity.data_blocks, verity.hash_block_size)) {
    const Blocks blocks{file_.hash().offset + (1 + level.first_block) * verity.hash_block_size, level.blocks,
                        verity.hash_block_size, digests};
    TRY(const auto wrong, find_wrong_block(file_.fd(), blocks, verity.salt, root));
    if (wrong) {
      return make_error(
          Errc::untrusted, Reason::hash_tree_corrupt,
          "hash block " + std::to_string(level.first_block + *wrong) + " does not lead to the signed root hash");
    }
    digests = blocks.offset;
  }
  const Blocks data{file_.data().offset, verity.data_blocks, verity.data_block_size, digests};
  TRY(const auto wrong, find_wrong_block(file_.fd(), data, verity.salt, root));
  if (!wrong) return {};
  return make_error(Errc::untrusted, Reason::data_corrupt,
                    "data block " + std::to_string(*wrong) + " does not match its hash");
}

Result<ForeignImage> verify_foreign(ImageFile file, const TrustStore& anchors, int64_t now) {
  const SignatureBlock& block = file.signature_block();
  if (!block.is_foreign()) return make_error(Errc::invalid_input, "the image has a manifest, or no signature");
  if (anchors.size() == 0) {
    return make_error(Errc::untrusted, Reason::no_trust_anchor, "there is no trust anchor to check it against");
  }
  if (!anchors.policy().drivers.empty()) {
    return make_error(Errc::untrusted, Reason::manifest_missing,
                      "the trust policy has rules for drivers, and nothing signed says which driver this image is of");
  }
  const std::string root_hash = to_hex(block.root_hash);
  TRY(Signer signer,
      anchors.verify_detached(block.signature, as_bytes(root_hash), [&](ByteSpan) -> Result<int64_t> { return now; })
          .with_context("root hash"));
  if (block.certificate_fingerprint != signer.fingerprint) {
    return make_error(Errc::untrusted, Reason::signature_invalid, "certificateFingerprint is not that of the signer");
  }
  if (anchors.policy().revoked_root_hashes.contains(block.root_hash)) {
    return make_error(Errc::untrusted, Reason::image_revoked, "the image with root hash " + root_hash + " is revoked");
  }
  return ForeignImage(std::move(file), std::move(signer));
}

}  // namespace driverext
