// The signature partition: one JSON object, then NUL bytes to the partition's end.
//
// systemd reads `rootHash`, `certificateFingerprint` and `signature` (sd-dissect, image-policy) and
// ignores what it does not know. `driverext` is ours: a CMS with the statement inside, so that the
// manifest is signed together with the root hash. A signed image without it was made by other tools:
// it can be checked, never provisioned. An image that is not signed yet holds `manifest` instead, for
// `driverext image sign`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/digest.hpp"

namespace driverext {

struct SignatureBlock {
  Digest root_hash{};
  std::string certificate_fingerprint;  ///< hex
  Bytes signature;                      ///< DER PKCS#7 over the root hash in hex; empty: unsigned
  Bytes statement;                      ///< DER CMS over the statement; empty: unsigned, or not made by driverext
  std::string manifest;                 ///< unsigned images only

  /// Signed, and nothing signed says what is in it: as systemd-repart makes images.
  [[nodiscard]] bool is_foreign() const { return !signature.empty() && statement.empty(); }
};

/// systemd reads at most 4 MiB, and makes 16 KiB itself.
constexpr uint64_t kMinSignaturePartition = 16 << 10;
constexpr uint64_t kMaxSignaturePartition = 4 << 20;

/// `partition` is the whole partition. Errors: Reason::image_malformed, Reason::unsigned_image if
/// the partition is empty.
Result<SignatureBlock> parse_signature_block(ByteSpan partition);
/// The JSON text, without padding.
std::string format_signature_block(const SignatureBlock& block);
/// A partition size that has room for the signed block of an image with this manifest.
uint64_t signature_partition_size(size_t manifest_size);

/// What the CMS signs, in one text that binds its parts together. A root hash alone does not say how long the data is:
/// one tree leads to it from less data too, and from none, with a block of the tree in the data's place.
struct Statement {
  Digest root_hash{};
  uint64_t data_blocks = 0;  ///< of kVerityBlock bytes, as the superblock has them
  std::string manifest;      ///< the bytes of manifest.json
};
std::string format_statement(const Statement& statement);
/// Errors: Reason::manifest_mismatch.
Result<Statement> parse_statement(std::string_view text);

}  // namespace driverext
