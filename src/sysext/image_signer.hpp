// What is signed of an image, and giving a finished image its signatures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/image_file.hpp"
#include "sysext/signature_block.hpp"

namespace driverext {

/// The signature block of an image; without a key that of an unsigned one.
Result<SignatureBlock> make_signature(Statement statement, const SigningKey* key);
/// Fills the whole signature partition. Errors: Errc::invalid_input if the block is larger.
Result<void> write_signature(int fd, ByteRange partition, const SignatureBlock& block, const std::string& path);

/// The dm-verity salt of an image with this manifest. It need only differ between images; derived from the manifest it
/// keeps builds reproducible, and shows later that a manifest is the one that the image was built with.
Bytes salt_of(std::string_view manifest_text);

/// The manifest that an image carries in its signature partition, before anything is verified.
/// Only for showing it, and for signing.
Result<std::string> unverified_manifest_text(const ImageFile& image);

struct SignedOutput {
  std::string path;
  int64_t now = 0;     ///< seconds since 1970: when the signer must be valid
  int cancel_fd = -1;  ///< readable: signing stops with Errc::transient and leaves nothing; -1: there is none
};

/// Writes a signed copy of the image. All data is checked against the root hash first: a signature must not bless what
/// is already damaged. Then the copy is verified as a node does it, with the signer's certificate as its trust anchor,
/// before it takes its place. Errors: Errc::untrusted with the reason for which a node would refuse it.
Result<void> sign_image(const ImageFile& image, const SigningKey& key, const SignedOutput& output);

/// The two texts that are signed of an image, for a key that is elsewhere.
struct SigningInput {
  std::string root_hash;  ///< 64 hex digits; a detached PKCS#7 without attributes signs it
  std::string statement;  ///< a CMS holds and signs it
};
/// Checks all data, as sign_image does.
Result<SigningInput> signing_input(const ImageFile& image, int cancel_fd = -1);

/// DER, both by the same signer.
struct ForeignSignatures {
  Bytes root_hash;
  Bytes statement;
};
/// As sign_image, with signatures that were made elsewhere. `signer` holds the certificate that they are expected from.
/// Errors: Errc::untrusted if they are not of this image, not by that certificate or not of the form that systemd and
/// the kernel take.
Result<void> attach_signatures(const ImageFile& image, const ForeignSignatures& signatures, const TrustStore& signer,
                               const SignedOutput& output);

}  // namespace driverext
