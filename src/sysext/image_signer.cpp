#include "sysext/image_signer.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "crypto/signed_content.hpp"
#include "sysext/manifest.hpp"
#include "sysext/hash_tree.hpp"
#include "sysext/output_file.hpp"

namespace driverext {

Result<SignatureBlock> make_signature(const Digest& root_hash, std::string manifest_text, const SigningKey* key) {
  SignatureBlock block;
  block.root_hash = root_hash;
  if (key == nullptr) {
    block.manifest = std::move(manifest_text);
    return block;
  }
  const std::string hex = to_hex(root_hash);
  const std::string statement = format_statement({root_hash, std::move(manifest_text)});
  block.certificate_fingerprint = key->fingerprint();
  TRY(block.signature, key->sign_detached(as_bytes(hex)));
  TRY(block.statement, key->sign_attached(as_bytes(statement)));
  return block;
}

Result<void> write_signature(int fd, ByteRange partition, const SignatureBlock& block, const std::string& path) {
  const std::string text = format_signature_block(block);
  if (text.size() >= partition.size) {
    return make_error(Errc::invalid_input, "the signature needs " + human_size(text.size()) + ", its partition has " +
                                               human_size(partition.size));
  }
  Bytes padded(partition.size);
  const auto bytes = as_bytes(text);
  std::copy(bytes.begin(), bytes.end(), padded.begin());
  return write_exactly(fd, padded, partition.offset, path);
}

Bytes salt_of(std::string_view manifest_text) {
  Sha256 hash;
  hash.update(as_bytes("driverext verity salt"));
  hash.update(as_bytes(manifest_text));
  const Digest digest = hash.finish();
  return {digest.begin(), digest.end()};
}

Result<std::string> unverified_manifest_text(const ImageFile& image) {
  const SignatureBlock& block = image.signature_block();
  if (block.signature.empty()) return block.manifest;
  if (block.is_foreign()) {
    return make_error(Errc::untrusted, Reason::manifest_missing,
                      "the image was made by another tool and has no manifest");
  }
  TRY(const Bytes content, unverified_content(block.statement));
  TRY(Statement statement, parse_statement(as_text(content)));
  return std::move(statement.manifest);
}

Result<void> sign_image(const ImageFile& image, const SigningKey& key, const std::string& output) {
  const Digest root_hash = image.signature_block().root_hash;
  TRY(std::string manifest_text, unverified_manifest_text(image));
  TRY_VOID(check_all_blocks({image.fd(), image.data().offset}, {image.fd(), image.hash().offset}, image.verity(),
                            root_hash));
  TRY(const Manifest manifest, parse_manifest(manifest_text).with_context("manifest"));
  if (image.verity().salt != salt_of(manifest_text) || manifest.architecture != image.architecture().name) {
    return make_error(Errc::untrusted, Reason::manifest_mismatch,
                      "the manifest in the signature partition is not the one that the image was built with");
  }
  TRY(const SignatureBlock block, make_signature(root_hash, std::move(manifest_text), &key));

  TRY(OutputFile out, OutputFile::create(output));
  TRY_VOID(copy_range(image.fd(), 0, out.fd(), 0, image.size(), output));
  TRY_VOID(write_signature(out.fd(), image.signature(), block, output));
  return out.finish(image.size());
}

}  // namespace driverext
