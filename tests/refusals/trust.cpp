// Signed rightly, by the wrong one.
#include "base/json.hpp"
#include "crypto/digest.hpp"
#include "refusals/refusal.hpp"
#include "refusals/signers.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

constexpr int64_t kLongAgo = 1'000'000'000;   // 2001
constexpr int64_t kFarAhead = 3'000'000'000;  // 2065

Refusal untrusted(const std::string& name, std::function<std::string()> bytes, const std::string& says,
                  std::vector<std::string> trust = {}) {
  return {"should-fail-" + name, Stage::trust, "untrusted-signer", std::move(bytes), says, std::move(trust)};
}

// Signed by somebody who is a trust anchor himself, and is not good for it.
Refusal unfit(const std::string& name, const IdentityRequest& request, const std::string& says) {
  const Identity& signer = kept(request);
  return untrusted(name, [&signer] { return signed_by(signer); }, says, {signer.certificate_pem});
}

}  // namespace

std::vector<Refusal> trust_refusals() {
  const Identity& root = kept({.name = "driverext test root", .role = Role::authority});
  const Identity& expired = kept({.name = "expired", .valid_until = kLongAgo});
  const Identity& foreign_root = kept({.name = "foreign root", .role = Role::authority});
  const Identity& foreign_leaf = kept({.name = "foreign leaf", .issuer = &foreign_root});
  // The name of somebody who is trusted, on another key.
  const Identity& namesake = kept({.name = "driverext test publisher"});
  const Identity& between = kept({.name = "between", .issuer = &root, .role = Role::authority});
  const Identity& leaf = kept({.name = "leaf", .issuer = &between});
  const Identity& no_authority = kept({.name = "issued by a leaf", .issuer = &publisher()});
  const Identity& weakly_issued = kept({.name = "issued with sha1", .issuer = &root, .issued_with = Hash::sha1});
  const Identity& expired_between =
      kept({.name = "expired between", .issuer = &root, .valid_until = kLongAgo, .role = Role::authority});
  const Identity& under_expired = kept({.name = "under expired", .issuer = &expired_between});

  return {
      untrusted(
          "signed-by-stranger", [] { return signed_by(stranger()); }, "no trust anchor vouches"),
      untrusted(
          "signed-by-namesake", [&] { return signed_by(namesake); }, "no trust anchor vouches"),
      untrusted(
          "issued-by-foreign-authority",
          [&] { return signed_with({.signers = {&foreign_leaf}, .other_certificates = {&foreign_root}}); },
          "no trust anchor vouches"),
      untrusted(
          "signed-without-certificate",
          [] { return signed_with({.signers = {&stranger()}, .with_signer_certificates = false}); },
          "neither in the image nor a trust anchor"),
      unfit("signer-expired", {.name = "expired", .valid_until = kLongAgo}, "expired"),
      unfit("signer-not-yet-valid", {.name = "not yet", .valid_from = kFarAhead}, "not yet valid"),
      // The image's creation time moves a slow clock up, never a right one back.
      untrusted("signer-expired-image-made-in-1970", [&] { return signed_by(expired, 0); }, "expired",
                {expired.certificate_pem}),
      untrusted("signer-expired-image-made-at-2-to-63", [&] { return signed_by(expired, uint64_t{1} << 63); },
                "expired", {expired.certificate_pem}),
      unfit("signer-for-web-servers", {.name = "web", .extended_key_usage = "serverAuth"}, "extended key usage"),
      unfit("signer-for-time-stamps", {.name = "time", .extended_key_usage = "critical,timeStamping"},
            "extended key usage"),
      unfit("signer-that-only-encrypts", {.name = "encrypts", .key_usage = "critical,keyEncipherment"}, "key usage"),
      unfit("signer-that-only-issues", {.name = "issues", .key_usage = "critical,keyCertSign,cRLSign"}, "key usage"),
      unfit("signer-with-rsa-1024", {.name = "weak", .key_type = KeyType::rsa, .rsa_bits = 1024}, "key too weak"),
      untrusted("issued-with-sha1", [&] { return signed_by(weakly_issued); }, "no trust anchor vouches",
                {root.certificate_pem}),
      untrusted("intermediate-missing", [&] { return signed_by(leaf); }, "no trust anchor vouches",
                {root.certificate_pem}),
      untrusted("intermediate-expired",
                [&] { return signed_with({.signers = {&under_expired}, .other_certificates = {&expired_between}}); },
                "expired", {root.certificate_pem}),
      untrusted(
          "issued-by-a-leaf",
          [&] { return signed_with({.signers = {&no_authority}, .other_certificates = {&publisher()}}); },
          "no trust anchor vouches"),
      untrusted(
          "root-hash-signed-by-stranger",
          [] {
            const OrderedJson theirs = signature_of(signed_by(stranger()));
            return with_signature_edit(sample_bytes(), [&](OrderedJson& object) {
              object["signature"] = theirs["signature"];
              object["certificateFingerprint"] = theirs["certificateFingerprint"];
            });
          },
          "root hash"),
      untrusted(
          "statement-signed-by-stranger",
          [] {
            const OrderedJson theirs = signature_of(signed_by(stranger()));
            return with_signature_edit(sample_bytes(),
                                       [&](OrderedJson& object) { object["driverext"] = theirs["driverext"]; });
          },
          "statement"),
  };
}

}  // namespace driverext::test
