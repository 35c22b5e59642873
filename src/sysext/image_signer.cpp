#include "sysext/image_signer.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "crypto/signed_content.hpp"
#include "sysext/hash_tree.hpp"
#include "sysext/manifest.hpp"
#include "sysext/output_file.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {
namespace {

Error not_as_expected(const std::string& what) { return make_error(Errc::untrusted, Reason::signature_invalid, what); }

// An image that is fit to be signed: its data and hash tree lead to the root hash, and its manifest is its own.
struct Signable {
  Statement statement;
  Manifest manifest;
};

Result<Signable> check_signable(const ImageFile& image, int cancel_fd) {
  const Digest& root_hash = image.signature_block().root_hash;
  TRY(std::string text, unverified_manifest_text(image));
  TRY_VOID(check_all_blocks({image.fd(), image.data().offset}, {image.fd(), image.hash().offset}, image.verity(),
                            root_hash, {.cancel_fd = cancel_fd}));
  TRY(Manifest manifest, parse_manifest(text).with_context("manifest"));
  if (image.verity().salt != salt_of(text) || manifest.architecture != image.architecture().name) {
    return make_error(Errc::untrusted, Reason::manifest_mismatch,
                      "the manifest in the signature partition is not the one that the image was built with");
  }
  return Signable{{root_hash, image.verity().data_blocks, std::move(text)}, std::move(manifest)};
}

Result<void> write_signed_copy(const ImageFile& image, const SignatureBlock& block, const TrustStore& signer,
                               const SignedOutput& output) {
  TRY(OutputFile out, OutputFile::create(output.path));
  TRY_VOID(copy_range(image.fd(), 0, out.fd(), 0, image.size(), output.path, output.cancel_fd));
  TRY_VOID(write_signature(out.fd(), image.signature(), block, output.path));
  UniqueFd fd(::fcntl(out.fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return os_failure(errno, "cannot look at what was written");
  TRY(ImageFile written, ImageFile::open(std::move(fd), output.path));
  TRY_VOID(VerifiedImage::verify(std::move(written), signer, output.now).with_context("nodes would refuse it"));
  return out.finish(image.size(), output.cancel_fd);
}

// What OpenSSL signs unless it is told otherwise, each with the option that tells it.
Result<void> check_form(const ForeignSignatures& signatures, const std::string& statement) {
  TRY(const UnverifiedSigner root_hash, unverified_signer(signatures.root_hash).with_context("root hash"));
  if (root_hash.attribute_count != 0) {
    return not_as_expected("root hash: the signature has attributes, which the kernel refuses; sign with -noattr");
  }
  if (root_hash.holds_content) {
    return not_as_expected("root hash: the signature holds what it signs; sign without -nodetach");
  }
  TRY(const Bytes content, unverified_content(signatures.statement).with_context("statement (sign with -nodetach)"));
  if (as_text(content) == statement) return {};
  return make_error(Errc::untrusted, Reason::manifest_mismatch,
                    as_text(content).find('\r') != std::string_view::npos
                        ? "statement: it was signed with its line ends changed; sign with -binary"
                        : "statement: what was signed is not the statement of this image; export it again");
}

}  // namespace

Result<SignatureBlock> make_signature(Statement statement, const SigningKey* key) {
  SignatureBlock block;
  block.root_hash = statement.root_hash;
  if (key == nullptr) {
    block.manifest = std::move(statement.manifest);
    return block;
  }
  const std::string hex = to_hex(statement.root_hash);
  const std::string text = format_statement(statement);
  block.certificate_fingerprint = key->fingerprint();
  TRY(block.signature, key->sign_detached(as_bytes(hex)));
  TRY(block.statement, key->sign_attached(as_bytes(text)));
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

Result<void> sign_image(const ImageFile& image, const SigningKey& key, const SignedOutput& output) {
  TRY(Signable signable, check_signable(image, output.cancel_fd));
  TRY(const SignatureBlock block, make_signature(std::move(signable.statement), &key));
  TrustStore signer;
  TRY_VOID(signer.add_pem(key.certificate_pem(), "the signing certificate"));
  return write_signed_copy(image, block, signer, output);
}

Result<SigningInput> signing_input(const ImageFile& image, int cancel_fd) {
  TRY(const Signable signable, check_signable(image, cancel_fd));
  return SigningInput{to_hex(signable.statement.root_hash), format_statement(signable.statement)};
}

Result<void> attach_signatures(const ImageFile& image, const ForeignSignatures& signatures, const TrustStore& signer,
                               const SignedOutput& output) {
  TRY(const Signable signable, check_signable(image, output.cancel_fd));
  SignatureBlock block;
  block.root_hash = image.signature_block().root_hash;
  TRY_VOID(check_form(signatures, format_statement(signable.statement)));
  const int64_t judged_at = std::max(output.now, static_cast<int64_t>(signable.manifest.created));
  const std::string hex = to_hex(block.root_hash);
  TRY(const Signer by,
      signer
          .verify_detached(signatures.root_hash, as_bytes(hex), [&](ByteSpan) -> Result<int64_t> { return judged_at; })
          .with_context("root hash"));
  block.certificate_fingerprint = by.fingerprint;
  block.signature = signatures.root_hash;
  block.statement = signatures.statement;
  return write_signed_copy(image, block, signer, output);
}

}  // namespace driverext
