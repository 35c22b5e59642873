// What is asked of certificates and digests, on chains that are really made.
#include <gtest/gtest.h>

#include "crypto/trust_store.hpp"
#include "support/signer.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::Hash;
using test::Identity;
using test::KeyType;
using test::make_cms;
using test::make_identity;
using test::message;
using test::must;
using test::Role;
using test::verdict;

constexpr int64_t kNow = 1'800'000'000;
constexpr const char* kText = "what is signed";

JudgedTime at(int64_t time) {
  return [time](ByteSpan) -> Result<int64_t> { return time; };
}

// Anchors and a policy.
TrustStore trusting(const std::vector<const Identity*>& anchors, const std::string& policy = "") {
  TrustStore store;
  for (const Identity* anchor : anchors) must(store.add_pem(anchor->certificate_pem, "trust/anchor.crt"));
  store.set_policy(must(parse_trust_policy(policy, "policy.toml")));
  return store;
}

Result<Signer> check(const TrustStore& store, const test::CmsRequest& request, int64_t time = kNow) {
  TRY(TrustStore::SignedContent content, store.verify_attached(make_cms(kText, request), at(time)));
  return std::move(content.signer);
}

std::string outcome(const Identity& leaf, const Identity& anchor, const std::string& policy) {
  return verdict(check(trusting({&anchor}, policy), {.signers = {&leaf}}));
}

const Identity& authority() {
  static const Identity identity = make_identity({.name = "authority", .role = Role::authority});
  return identity;
}

TEST(CertificateRules, EveryAcceptedKeyTypeSigns) {
  const Identity keys[] = {
      make_identity({.issuer = &authority()}),
      make_identity({.issuer = &authority(), .curve = "P-384"}),
      make_identity({.issuer = &authority(), .curve = "P-521"}),
      make_identity({.issuer = &authority(), .key_type = KeyType::rsa}),
      make_identity({.issuer = &authority(), .key_type = KeyType::rsa, .rsa_bits = 3072}),
  };
  for (const Identity& identity : keys) EXPECT_EQ(outcome(identity, authority(), ""), "fine");
}

// Strong enough for OpenSSL, but not one of those that are named.
TEST(CertificateRules, CurveThatIsNotNamedIsRefused) {
  for (const char* curve : {"secp256k1", "brainpoolP256r1"}) {
    const Identity odd = make_identity({.issuer = &authority(), .curve = curve});
    const auto result = check(trusting({&authority()}), {.signers = {&odd}});
    EXPECT_EQ(verdict(result), "untrusted/untrusted-signer") << curve;
    EXPECT_NE(message(result).find("curve"), std::string::npos) << message(result);
  }
}

TEST(CertificateRules, PolicyRaisesTheLeastRsaSize) {
  const Identity rsa2048 = make_identity({.issuer = &authority(), .key_type = KeyType::rsa});
  const Identity rsa3072 = make_identity({.issuer = &authority(), .key_type = KeyType::rsa, .rsa_bits = 3072});
  const std::string policy = "[keys]\nrsa = 3072\nec = [\"P-256\"]\n";
  EXPECT_EQ(outcome(rsa2048, authority(), ""), "fine");
  EXPECT_EQ(outcome(rsa2048, authority(), policy), "untrusted/untrusted-signer");
  EXPECT_EQ(outcome(rsa3072, authority(), policy), "fine");
}

TEST(CertificateRules, KeyTypesThatThePolicyDoesNotNameAreRefused) {
  const Identity rsa_authority = make_identity({.name = "rsa", .role = Role::authority, .key_type = KeyType::rsa});
  const Identity ec = make_identity({.issuer = &rsa_authority});
  const Identity rsa = make_identity({.issuer = &rsa_authority, .key_type = KeyType::rsa});
  EXPECT_EQ(outcome(rsa, rsa_authority, "[keys]\nrsa = 2048\n"), "fine");
  EXPECT_EQ(outcome(ec, rsa_authority, "[keys]\nrsa = 2048\n"), "untrusted/untrusted-signer");
  // Also the key of who vouches: a chain is as strong as its weakest key.
  EXPECT_EQ(outcome(ec, rsa_authority, "[keys]\nec = [\"P-256\"]\n"), "untrusted/untrusted-signer");
  EXPECT_EQ(outcome(ec, ec, "[keys]\nec = [\"P-256\"]\n"), "fine");
  EXPECT_EQ(outcome(ec, ec, "[keys]\nec = [\"P-384\"]\n"), "untrusted/untrusted-signer");
}

// RFC 8419 has CMS with Ed25519; OpenSSL 3.0 makes none (no default digest) and PKCS7_sign never did. As an authority's
// key it works.
TEST(CertificateRules, Ed25519AuthorityCounts) {
  const Identity edwards = make_identity({.name = "edwards", .role = Role::authority, .key_type = KeyType::ed25519});
  const Identity leaf = make_identity({.issuer = &edwards});
  EXPECT_EQ(outcome(leaf, edwards, ""), "fine");
  EXPECT_EQ(outcome(leaf, edwards, "[keys]\nec = [\"P-256\"]\ned25519 = true\n"), "fine");
  EXPECT_EQ(outcome(leaf, edwards, "[keys]\nec = [\"P-256\"]\n"), "untrusted/untrusted-signer");
  const Identity signer = make_identity({.key_type = KeyType::ed25519});
  EXPECT_EQ(verdict(SigningKey::from_pem(signer.key_pem, signer.certificate_pem)), "unsupported");
}

TEST(CertificateRules, PolicyChoosesAmongTheDigests) {
  const Identity leaf = make_identity({.issuer = &authority(), .issued_with = Hash::sha512});
  const TrustStore any = trusting({&authority()});
  const TrustStore only_512 = trusting({&authority()}, "[signature]\ndigests = [\"sha512\"]\n");
  for (const Hash hash : {Hash::sha256, Hash::sha384, Hash::sha512}) {
    EXPECT_EQ(verdict(check(any, {.signers = {&leaf}, .hash = hash})), "fine");
  }
  EXPECT_EQ(verdict(check(any, {.signers = {&leaf}, .hash = Hash::sha1})), "untrusted/signature-invalid");
  EXPECT_EQ(verdict(check(only_512, {.signers = {&leaf}, .hash = Hash::sha256})), "untrusted/signature-invalid");
  EXPECT_EQ(verdict(check(only_512, {.signers = {&leaf}, .hash = Hash::sha512})), "fine");
}

TEST(CertificateRules, DigestOfACertificateCountsTooButForAnchors) {
  const Identity leaf = make_identity({.issuer = &authority(), .issued_with = Hash::sha256});
  const std::string policy = "[signature]\ndigests = [\"sha512\"]\n";
  const test::CmsRequest request{.signers = {&leaf}, .hash = Hash::sha512};
  EXPECT_EQ(verdict(check(trusting({&authority()}, policy), request)), "untrusted/untrusted-signer");
  EXPECT_EQ(verdict(check(trusting({&leaf}, policy), request)), "fine");
}

TEST(CertificateRules, RequiredUsageMustBeNamed) {
  const auto with = [&](const char* usage, const std::string& policy) {
    const Identity leaf = make_identity({.issuer = &authority(), .extended_key_usage = usage});
    return outcome(leaf, authority(), policy);
  };
  const std::string code = "[signature]\nextended-key-usage = \"codeSigning\"\n";
  EXPECT_EQ(with("codeSigning", code), "fine");
  EXPECT_EQ(with("serverAuth,codeSigning", code), "fine");
  EXPECT_EQ(with(nullptr, code), "untrusted/untrusted-signer");
  EXPECT_EQ(with("anyExtendedKeyUsage", code), "untrusted/untrusted-signer");
  EXPECT_EQ(with("anyExtendedKeyUsage", ""), "fine");
  EXPECT_EQ(with("serverAuth", code), "untrusted/untrusted-signer");
  const std::string own = "[signature]\nextended-key-usage = \"1.3.6.1.4.1.99999.1\"\n";
  EXPECT_EQ(with("1.3.6.1.4.1.99999.1", own), "fine");
  EXPECT_EQ(with("1.3.6.1.4.1.99999.10", own), "untrusted/untrusted-signer");
  EXPECT_EQ(with("codeSigning", own), "untrusted/untrusted-signer");
}

TEST(CertificateRules, AuthorityForSomethingElseMakesNoPublishers) {
  for (const auto& [usage, expected] : {std::pair{"serverAuth", "untrusted/untrusted-signer"},
                                        {"codeSigning", "fine"},
                                        {"anyExtendedKeyUsage", "fine"}}) {
    const Identity middle =
        make_identity({.name = "middle", .issuer = &authority(), .role = Role::authority, .extended_key_usage = usage});
    const Identity leaf = make_identity({.issuer = &middle, .extended_key_usage = "codeSigning"});
    EXPECT_EQ(verdict(check(trusting({&authority()}), {.signers = {&leaf}, .other_certificates = {&middle}})), expected)
        << usage;
    // An anchor is trusted as it is.
    EXPECT_EQ(verdict(check(trusting({&middle}), {.signers = {&leaf}})), "fine") << usage;
  }
}

TEST(CertificateRules, EveryCertificateOfTheChainMustBeValid) {
  const Identity early =
      make_identity({.name = "early", .issuer = &authority(), .valid_until = kNow - 1, .role = Role::authority});
  const Identity leaf = make_identity({.issuer = &early});
  const test::CmsRequest request{.signers = {&leaf}, .other_certificates = {&early}};
  EXPECT_EQ(verdict(check(trusting({&authority()}), request, kNow - 10)), "fine");
  const auto result = check(trusting({&authority()}), request);
  EXPECT_EQ(verdict(result), "untrusted/untrusted-signer");
  EXPECT_NE(message(result).find("expired at 2027-01-15 08:00 UTC"), std::string::npos) << message(result);
}

TEST(CertificateRules, EmbeddedCertificatesAreBounded) {
  const Identity leaf = make_identity({.issuer = &authority()});
  std::vector<Identity> others(17);
  for (Identity& other : others) other = make_identity({.name = "filler"});
  test::CmsRequest request{.signers = {&leaf}};
  for (size_t i = 0; i < 15; ++i) request.other_certificates.push_back(&others[i]);
  EXPECT_EQ(verdict(check(trusting({&authority()}), request)), "fine");
  request.other_certificates.push_back(&others[15]);
  EXPECT_EQ(verdict(check(trusting({&authority()}), request)), "untrusted/signature-invalid");
}

TEST(CertificateRules, ChainsAreBounded) {
  std::vector<Identity> chain = {authority()};
  test::CmsRequest request;
  for (int i = 0; i < 10; ++i) {
    chain.push_back(
        make_identity({.name = "link " + std::to_string(i), .issuer = &chain.back(), .role = Role::authority}));
  }
  const Identity leaf = make_identity({.issuer = &chain.back()});
  request.signers = {&leaf};
  for (const Identity& link : chain) request.other_certificates.push_back(&link);
  EXPECT_EQ(verdict(check(trusting({&authority()}), request)), "untrusted/untrusted-signer");
}

TEST(CertificateRules, SignerTellsItsAnchors) {
  const Identity middle = make_identity({.name = "middle", .issuer = &authority(), .role = Role::authority});
  const Identity leaf = make_identity({.issuer = &middle});
  const test::CmsRequest request{.signers = {&leaf}, .other_certificates = {&middle, &authority()}};
  TrustStore store;
  must(store.add_pem(authority().certificate_pem, "/etc/driverext/trust/root.crt"));
  Signer signer = must(check(store, request));
  ASSERT_EQ(signer.anchors.size(), 1U);
  EXPECT_EQ(signer.anchors[0].file, "root.crt");
  EXPECT_EQ(signer.anchors[0].fingerprint, authority().signing_key().fingerprint());
  must(store.add_pem(middle.certificate_pem, "middle.crt"));
  signer = must(check(store, request));
  ASSERT_EQ(signer.anchors.size(), 1U);  // who vouches for the vouching is not asked
  EXPECT_EQ(signer.anchors[0].file, "middle.crt");
}

}  // namespace
}  // namespace driverext
