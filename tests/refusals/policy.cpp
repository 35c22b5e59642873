// Signed rightly, by somebody who is trusted, and refused by what the node's folder of trust says besides.
#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "refusals/signers.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

std::string revoking(const std::string& root_hash) { return "[revoked]\nroot-hashes = [\"" + root_hash + "\"]\n"; }

Refusal by_policy(const std::string& name, const std::string& reason, std::function<std::string()> bytes,
                  const std::string& says, const std::string& policy, std::vector<std::string> trust = {}) {
  return {"should-fail-" + name, Stage::policy, reason, std::move(bytes), says, std::move(trust), policy};
}

std::string good() { return sample_bytes(); }

}  // namespace

std::vector<Refusal> policy_refusals() {
  const Identity& root = kept({.name = "driverext test root", .role = Role::authority});
  const Identity& leaf = kept({.name = "leaf", .issuer = &root});
  const Identity& rsa = kept({.name = "rsa", .key_type = KeyType::rsa, .rsa_bits = 2048});
  const Identity& for_code = kept({.name = "code", .extended_key_usage = "codeSigning"});
  const std::string taken_back(64, 'b');

  return {
      {"should-fail-policy-that-accepts-unsigned-images",
       Stage::trust_files,
       "config-invalid",
       [] { return build_bytes({}, nullptr); },
       "unsigned",
       {},
       "unsigned = true\n"},
      {"should-fail-policy-that-accepts-sha1",
       Stage::trust_files,
       "config-invalid",
       good,
       "sha1",
       {},
       "[signature]\ndigests = [\"sha1\"]\n"},
      {"should-fail-signer-in-a-revocation-list",
       Stage::policy,
       "signer-revoked",
       [&] { return signed_by(leaf); },
       "is in the revocation list of its issuer",
       {root.certificate_pem},
       "",
       {make_crl({.issuer = &root, .revoked = {&leaf}})}},
      by_policy("signer-whom-no-revocation-list-covers", "untrusted-signer", [&] { return signed_by(leaf); },
                "no revocation list that has not run out covers", "[signature]\nrequire-crl = true\n",
                {root.certificate_pem}),
      by_policy("root-hash-revoked", "image-revoked", good, "is revoked",
                revoking(signature_of(sample_bytes())["rootHash"])),
      by_policy(
          "built-from-a-revoked-image", "image-revoked",
          [=] {
            Manifest manifest = sample_manifest();
            manifest.built_from = {std::string(64, 'a'), taken_back};
            return with_statement(sample_bytes(), statement_about(sample_bytes(), format_manifest(manifest)),
                                  publisher());
          },
          "was built from one that is revoked", revoking(taken_back)),
      by_policy("version-below-the-minimum", "version-too-old", good, "is older than 2",
                "[driver.testcam]\nminimum-version = \"2\"\n"),
      by_policy("anchor-that-may-not-sign-this-driver", "untrusted-signer", good, "may not sign driver testcam",
                "[driver.testcam]\nanchors = [\"vendor.crt\"]\n"),
      by_policy(
          "builder-by-one-who-may-not-sign-builders", "untrusted-signer", [] { return kept_bytes(sample_builder()); },
          "may not sign driver builder", "[driver.builder]\nanchors = [\"vendor.crt\"]\n"),
      by_policy("rsa-key-shorter-than-the-policy-asks", "untrusted-signer", [&] { return signed_by(rsa); },
                "its RSA key has 2048 bits", "[keys]\nrsa = 3072\n", {rsa.certificate_pem}),
      by_policy("signer-without-the-usage-that-the-policy-asks", "untrusted-signer",
                [&] { return signed_by(for_code); }, "extended key usage does not include",
                "[signature]\nextended-key-usage = \"1.3.6.1.4.1.311.61.1.1\"\n", {for_code.certificate_pem}),
      by_policy("signed-with-a-digest-that-the-policy-does-not-accept", "signature-invalid", good,
                "digest algorithm SHA256 is not accepted", "[signature]\ndigests = [\"sha512\"]\n"),
  };
}

}  // namespace driverext::test
