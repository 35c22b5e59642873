#include "sysext/verified_image.hpp"

#include <algorithm>

#include "sysext/image_policy.hpp"

namespace driverext {

VerifiedImage::VerifiedImage(ImageFile file, Manifest manifest, std::string manifest_text, Signer signer,
                             Precheck precheck)
    : file_(std::move(file)),
      manifest_(std::move(manifest)),
      manifest_text_(std::move(manifest_text)),
      signer_(std::move(signer)),
      precheck_(precheck) {}

Result<VerifiedImage> VerifiedImage::verify(ImageFile file, const TrustStore& anchors, int64_t now) {
  const SignatureBlock& block = file.signature_block();
  if (block.signature.empty()) {
    return make_error(Errc::untrusted, Reason::unsigned_image, "the image is not signed");
  }
  if (block.is_foreign()) {
    return make_error(Errc::untrusted, Reason::manifest_missing,
                      "the signature partition has no member \"driverext\", where the signed manifest belongs");
  }
  if (anchors.size() == 0) {
    return make_error(Errc::untrusted, Reason::no_trust_anchor, "there is no trust anchor to check it against");
  }

  Result<Manifest> manifest = make_error(Errc::internal, "the manifest was not read");
  int64_t judged_at = now;
  const auto read_manifest = [&](ByteSpan content) -> Result<int64_t> {
    TRY(const Statement statement, parse_statement(as_text(content)));
    manifest = parse_manifest(statement.manifest);
    // One that cannot be read moves no clock; it is told only once it is known who signed it.
    if (manifest) judged_at = std::max(now, static_cast<int64_t>(manifest->created));
    return judged_at;
  };
  TRY(const TrustStore::SignedContent signed_statement,
      anchors.verify_attached(block.statement, read_manifest).with_context("statement"));
  TRY(Statement statement, parse_statement(as_text(signed_statement.content)));
  if (!manifest) {
    return make_error(Errc::untrusted, Reason::image_malformed, "manifest: " + manifest.error().message());
  }

  const std::string root_hash = to_hex(block.root_hash);
  TRY(Signer signer,
      anchors
          .verify_detached(block.signature, as_bytes(root_hash), [&](ByteSpan) -> Result<int64_t> { return judged_at; })
          .with_context("root hash"));
  const auto mismatch = [](const char* what) { return make_error(Errc::untrusted, Reason::manifest_mismatch, what); };
  if (statement.root_hash != block.root_hash) {
    return mismatch("the signed statement is about another root hash");
  }
  if (statement.data_blocks != file.verity().data_blocks) {
    return mismatch("the signed statement is about another number of data blocks");
  }
  if (signer.fingerprint != signed_statement.signer.fingerprint) {
    return mismatch("root hash and statement were signed by different certificates");
  }
  if (block.certificate_fingerprint != signer.fingerprint) {
    return mismatch("certificateFingerprint is not that of the signer");
  }
  if (manifest->architecture != file.architecture().name) {
    return mismatch("manifest and partition types name different architectures");
  }
  const TrustPolicy& policy = anchors.policy();
  TRY_VOID(check_image_policy(policy, *manifest, block.root_hash));
  // Each signature came with certificates of its own to lead to an anchor by.
  TRY_VOID(check_signer_policy(policy, *manifest, signed_statement.signer));
  TRY_VOID(check_signer_policy(policy, *manifest, signer));
  return VerifiedImage(std::move(file), *std::move(manifest), std::move(statement.manifest), std::move(signer),
                       policy.precheck);
}

Result<void> VerifiedImage::check_tree() const {
  return check_hash_tree({file_.fd(), file_.hash().offset}, file_.verity(), root_hash());
}

Result<void> VerifiedImage::check_all_data(const HashOptions& options) const {
  return check_all_blocks({file_.fd(), file_.data().offset}, {file_.fd(), file_.hash().offset}, file_.verity(),
                          root_hash(), options);
}

}  // namespace driverext
