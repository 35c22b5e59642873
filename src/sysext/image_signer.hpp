// What is signed of an image, and giving a finished image its signatures.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/signing_key.hpp"
#include "sysext/image_file.hpp"
#include "sysext/signature_block.hpp"

namespace driverext {

/// The signature block of an image; without a key that of an unsigned one.
Result<SignatureBlock> make_signature(const Digest& root_hash, std::string manifest_text, const SigningKey* key);
/// Fills the whole signature partition. Errors: Errc::invalid_input if the block is larger.
Result<void> write_signature(int fd, ByteRange partition, const SignatureBlock& block, const std::string& path);

/// The dm-verity salt of an image with this manifest. It need only differ between images; derived from the manifest it
/// keeps builds reproducible, and shows later that a manifest is the one that the image was built with.
Bytes salt_of(std::string_view manifest_text);

/// The manifest that an image carries in its signature partition, before anything is verified.
/// Only for showing it, and for signing.
Result<std::string> unverified_manifest_text(const ImageFile& image);

/// Writes a signed copy of the image to `output`. All data is checked against the root hash first:
/// a signature must not bless what is already damaged.
Result<void> sign_image(const ImageFile& image, const SigningKey& key, const std::string& output);

}  // namespace driverext
