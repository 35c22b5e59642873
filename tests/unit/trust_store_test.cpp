#include "crypto/trust_store.hpp"

#include <gtest/gtest.h>

#include "crypto/signed_content.hpp"
#include "support/signer.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::Identity;
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

TrustStore trusting(const std::vector<const Identity*>& identities) {
  TrustStore store;
  for (const Identity* identity : identities) must(store.add_pem(identity->certificate_pem, "test"));
  return store;
}

std::string attached(const TrustStore& store, const Bytes& cms, int64_t time = kNow) {
  return verdict(store.verify_attached(cms, at(time)));
}

const Identity& signer() {
  static const Identity identity = make_identity();
  return identity;
}

TEST(TrustStore, AnchorsOwnSignatureIsGood) {
  const TrustStore store = trusting({&signer()});
  const auto content = must(store.verify_attached(make_cms(kText, {.signers = {&signer()}}), at(kNow)));
  EXPECT_EQ(as_text(content.content), kText);
  EXPECT_EQ(content.signer.subject, "CN=driverext test publisher");
  EXPECT_EQ(content.signer.fingerprint, signer().signing_key().fingerprint());
}

TEST(TrustStore, WhatTheSigningKeySignsIsGood) {
  const Identity rsa = make_identity({.key_type = test::KeyType::rsa});
  for (const Identity* identity : {&signer(), &rsa}) {
    const SigningKey key = identity->signing_key();
    const TrustStore store = trusting({identity});
    const Bytes signature = must(key.sign_detached(as_bytes(kText)));
    EXPECT_EQ(must(store.verify_detached(signature, as_bytes(kText), at(kNow))).fingerprint, key.fingerprint());
    EXPECT_EQ(verdict(store.verify_detached(signature, as_bytes("else"), at(kNow))), "untrusted/signature-invalid");
    EXPECT_EQ(attached(store, must(key.sign_attached(as_bytes(kText)))), "fine");
  }
}

// The oracle is OpenSSL's own program, in the way that systemd checks a root hash.
TEST(TrustStore, OpensslProgramAcceptsTheRootHashSignature) {
  const test::TempDir scratch;
  const Bytes signature = must(signer().signing_key().sign_detached(as_bytes(kText)));
  test::write_file(scratch / "content", kText);
  test::write_file(scratch / "certificate", signer().certificate_pem);
  test::write_file(scratch / "signature", as_text(signature));
  const std::vector<std::string> command = {"openssl",
                                            "smime",
                                            "-verify",
                                            "-inform",
                                            "DER",
                                            "-in",
                                            scratch / "signature",
                                            "-content",
                                            scratch / "content",
                                            "-certfile",
                                            scratch / "certificate",
                                            "-noverify",
                                            "-nointern",
                                            "-binary"};
  EXPECT_EQ(message(run_program(command)), "fine");
  test::write_file(scratch / "content", "else");
  EXPECT_FALSE(run_program(command));
}

TEST(TrustStore, StrangersSignatureIsUntrustedSigner) {
  const Identity other = make_identity({.name = "somebody"});
  const auto result = trusting({&signer()}).verify_attached(make_cms(kText, {.signers = {&other}}), at(kNow));
  EXPECT_EQ(verdict(result), "untrusted/untrusted-signer");
  EXPECT_NE(message(result).find("CN=somebody"), std::string::npos) << message(result);
}

TEST(TrustStore, StrangerWithTheAnchorsNameIsStillAStranger) {
  const Identity impostor = make_identity();
  EXPECT_EQ(attached(trusting({&signer()}), make_cms(kText, {.signers = {&impostor}})), "untrusted/untrusted-signer");
}

TEST(TrustStore, SignatureWithoutItsCertificateIsCheckedAgainstTheAnchors) {
  const Bytes bare = make_cms(kText, {.signers = {&signer()}, .with_signer_certificates = false});
  EXPECT_EQ(attached(trusting({&signer()}), bare), "fine");
  const Identity other = make_identity({.name = "somebody"});
  EXPECT_EQ(attached(trusting({&other}), bare), "untrusted/untrusted-signer");
}

TEST(TrustStore, CertificateCountsOnlyWhileItIsValid) {
  const Identity brief = make_identity({.valid_from = 1000, .valid_until = 2000});
  const TrustStore store = trusting({&brief});
  const Bytes cms = make_cms(kText, {.signers = {&brief}});
  EXPECT_EQ(attached(store, cms, 999), "untrusted/untrusted-signer");
  EXPECT_EQ(attached(store, cms, 1500), "fine");
  EXPECT_EQ(attached(store, cms, 2001), "untrusted/untrusted-signer");
}

TEST(TrustStore, TimeIsAskedForOnlyOnceTheSignatureIsRight) {
  bool asked = false;
  const JudgedTime time = [&](ByteSpan) -> Result<int64_t> {
    asked = true;
    return kNow;
  };
  Bytes cms = make_cms(kText, {.signers = {&signer()}});
  cms[cms.size() - 1] ^= std::byte{1};
  EXPECT_EQ(verdict(trusting({&signer()}).verify_attached(cms, time)), "untrusted/signature-invalid");
  EXPECT_FALSE(asked);
}

TEST(TrustStore, ChainGoesThroughAnEmbeddedIntermediate) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity middle = make_identity({.name = "middle", .issuer = &root, .role = Role::authority});
  const Identity leaf = make_identity({.name = "leaf", .issuer = &middle});
  const Bytes whole = make_cms(kText, {.signers = {&leaf}, .other_certificates = {&middle}});
  EXPECT_EQ(attached(trusting({&root}), whole), "fine");
  EXPECT_EQ(attached(trusting({&middle}), make_cms(kText, {.signers = {&leaf}})),
            "fine");  // an anchor need not be a root
  EXPECT_EQ(attached(trusting({&root}), make_cms(kText, {.signers = {&leaf}})), "untrusted/untrusted-signer");
  const auto signed_by = must(trusting({&root}).verify_attached(whole, at(kNow)));
  EXPECT_EQ(signed_by.signer.subject, "CN=leaf");
}

TEST(TrustStore, LeafAsAnchorVouchesForItselfOnly) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity leaf = make_identity({.name = "leaf", .issuer = &root});
  const Identity below = make_identity({.name = "below", .issuer = &leaf});
  const Identity sibling = make_identity({.name = "sibling", .issuer = &root});
  const TrustStore store = trusting({&leaf});
  EXPECT_EQ(attached(store, make_cms(kText, {.signers = {&leaf}})), "fine");
  EXPECT_EQ(attached(store, make_cms(kText, {.signers = {&below}})), "untrusted/untrusted-signer");
  EXPECT_EQ(attached(store, make_cms(kText, {.signers = {&sibling}})), "untrusted/untrusted-signer");
}

TEST(TrustStore, LeafBelowATrustedRootCannotIssue) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity leaf = make_identity({.name = "leaf", .issuer = &root});
  const Identity below = make_identity({.name = "below", .issuer = &leaf});
  const Bytes cms = make_cms(kText, {.signers = {&below}, .other_certificates = {&leaf}});
  EXPECT_EQ(attached(trusting({&root}), cms), "untrusted/untrusted-signer");
}

TEST(TrustStore, CertificateIssuedForSomethingElseSignsNothing) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const TrustStore store = trusting({&root});
  const auto signed_by = [&](const char* key_usage, const char* extended_key_usage) {
    const Identity leaf =
        make_identity({.issuer = &root, .key_usage = key_usage, .extended_key_usage = extended_key_usage});
    return attached(store, make_cms(kText, {.signers = {&leaf}}));
  };
  EXPECT_EQ(signed_by(nullptr, nullptr), "fine");
  EXPECT_EQ(signed_by("digitalSignature", "codeSigning"), "fine");
  EXPECT_EQ(signed_by("digitalSignature", "serverAuth,codeSigning"), "fine");
  EXPECT_EQ(signed_by(nullptr, "serverAuth"), "untrusted/untrusted-signer");
  EXPECT_EQ(signed_by(nullptr, "critical,emailProtection"), "untrusted/untrusted-signer");
  EXPECT_EQ(signed_by("keyEncipherment", nullptr), "untrusted/untrusted-signer");
}

TEST(TrustStore, WeakKeysAndWeakIssuingAreRefused) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity short_key = make_identity({.issuer = &root, .key_type = test::KeyType::rsa, .rsa_bits = 1024});
  const Identity by_sha1 = make_identity({.issuer = &root, .issued_with = test::Hash::sha1});
  for (const Identity* weak : {&short_key, &by_sha1}) {
    EXPECT_EQ(attached(trusting({&root}), make_cms(kText, {.signers = {weak}})), "untrusted/untrusted-signer");
  }
  const Identity own_anchor = make_identity({.key_type = test::KeyType::rsa, .rsa_bits = 1024});
  EXPECT_EQ(attached(trusting({&own_anchor}), make_cms(kText, {.signers = {&own_anchor}})),
            "untrusted/untrusted-signer");
}

TEST(TrustStore, TwoSignersAreRefusedEvenIfOneIsTrusted) {
  const Identity other = make_identity({.name = "somebody"});
  EXPECT_EQ(attached(trusting({&signer()}), make_cms(kText, {.signers = {&signer(), &other}})),
            "untrusted/signature-invalid");
  EXPECT_EQ(attached(trusting({&signer(), &other}), make_cms(kText, {.signers = {&other, &signer()}})),
            "untrusted/signature-invalid");
}

TEST(TrustStore, NoSignerIsRefused) {
  // SignedData with the content "x", no certificates and no signers: "verified" by a loop over its signers.
  const Bytes unsigned_cms = *from_hex(
      "302806092a864886f70d010702a01b301902010131003010"
      "06092a864886f70d010701a0030401783100");
  ASSERT_EQ(as_text(must(unverified_content(unsigned_cms))), "x");
  EXPECT_EQ(attached(trusting({&signer()}), unsigned_cms), "untrusted/signature-invalid");
}

TEST(TrustStore, BrokenDigestIsRefused) {
  const auto result =
      trusting({&signer()})
          .verify_attached(make_cms(kText, {.signers = {&signer()}, .hash = test::Hash::sha1}), at(kNow));
  EXPECT_EQ(verdict(result), "untrusted/signature-invalid");
  EXPECT_NE(message(result).find("SHA1"), std::string::npos) << message(result);
}

TEST(TrustStore, StatementWithoutContentIsRefused) {
  const Bytes empty = make_cms(kText, {.signers = {&signer()}, .content = test::Content::detached});
  EXPECT_EQ(attached(trusting({&signer()}), empty), "untrusted/signature-invalid");
  EXPECT_EQ(verdict(unverified_content(empty)), "untrusted/signature-invalid");
}

TEST(TrustStore, EmbeddedContentDoesNotStandInForTheDetachedOne) {
  const Bytes with_content = make_cms("embedded", {.signers = {&signer()}});
  EXPECT_EQ(verdict(trusting({&signer()}).verify_detached(with_content, as_bytes("outside"), at(kNow))),
            "untrusted/signature-invalid");
}

TEST(TrustStore, EveryFlippedByteOfASignatureIsRefused) {
  const TrustStore store = trusting({&signer()});
  const Bytes good = make_cms(kText, {.signers = {&signer()}});
  ASSERT_EQ(attached(store, good), "fine");
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{0x10};
    const auto result = store.verify_attached(bad, at(kNow));
    // What no signature covers (algorithm parameters, versions) may change; content and signer may not.
    if (!result) {
      EXPECT_EQ(result.error().code, Errc::untrusted) << i;
    } else {
      EXPECT_EQ(as_text(result->content), kText) << i;
      EXPECT_EQ(result->signer.subject, "CN=driverext test publisher") << i;
    }
  }
}

TEST(TrustStore, GarbageIsNotASignature) {
  const TrustStore store = trusting({&signer()});
  for (const std::string& text : {std::string(), std::string("x"), std::string(1000, '0'), std::string(10, '\0')}) {
    EXPECT_EQ(verdict(store.verify_attached(as_bytes(text), at(kNow))), "untrusted/signature-invalid");
    EXPECT_EQ(verdict(store.verify_detached(as_bytes(text), as_bytes(kText), at(kNow))), "untrusted/signature-invalid");
    EXPECT_EQ(verdict(unverified_content(as_bytes(text))), "untrusted/signature-invalid");
  }
  EXPECT_EQ(verdict(store.verify_attached(Bytes((size_t{4} << 20) + 1), at(kNow))), "untrusted/signature-invalid");
}

TEST(TrustStore, LoadTakesEveryCrtFileOfEveryFolder) {
  const test::TempDir scratch;
  const Identity other = make_identity({.name = "other"});
  test::write_file(scratch / "etc/b.crt", signer().certificate_pem + other.certificate_pem);
  test::write_file(scratch / "usr/a.crt", other.certificate_pem);
  test::write_file(scratch / "usr/notes.txt", "not a certificate");
  EXPECT_EQ(must(TrustStore::load(scratch.dir(), {"etc", "usr", "absent"})).size(), 3U);
  EXPECT_EQ(must(TrustStore::load(scratch.dir(), {"absent"})).size(), 0U);
}

TEST(TrustStore, DamagedCertificateFileIsAnErrorThatNamesIt) {
  const std::string good = signer().certificate_pem;
  const std::string cut = good.substr(0, good.size() / 2);
  std::string garbled = good;
  garbled[good.size() / 2] = '!';
  for (const std::string& pem : {std::string(), std::string("text\n"), cut, garbled, good + cut, good + garbled}) {
    const test::TempDir scratch;
    test::write_file(scratch / "trust/bad.crt", pem);
    const auto result = TrustStore::load(scratch.dir(), {"trust"});
    EXPECT_EQ(verdict(result), "invalid_input/config-invalid") << pem;
    EXPECT_NE(message(result).find("trust/bad.crt"), std::string::npos) << message(result);
  }
}

TEST(SigningKey, KeyAndCertificateMustBelongTogether) {
  const Identity other = make_identity();
  EXPECT_EQ(verdict(SigningKey::from_pem(other.key_pem, signer().certificate_pem)), "invalid_input");
  EXPECT_EQ(verdict(SigningKey::from_pem("x", signer().certificate_pem)), "invalid_input");
  EXPECT_EQ(verdict(SigningKey::from_pem(signer().key_pem, "x")), "invalid_input");
  EXPECT_EQ(signer().signing_key().certificate_pem(), signer().certificate_pem);
}

// A node signs what it built, whatever its clock says.
TEST(SigningKey, GeneratedOneSignsAndIsBelievedAtAnyTime) {
  const SigningKey::Pem pem = must(SigningKey::generate("driverext node key"));
  const SigningKey key = must(SigningKey::from_pem(pem.key, pem.certificate));
  TrustStore store;
  must(store.add_pem(pem.certificate, "node.crt"));
  const Bytes attached_cms = must(key.sign_attached(as_bytes(kText)));
  const Bytes detached_cms = must(key.sign_detached(as_bytes(kText)));
  for (const int64_t now : {int64_t{0}, int64_t{1'000'000'000}, kNow, int64_t{250'000'000'000}}) {
    const auto content = store.verify_attached(attached_cms, at(now));
    ASSERT_EQ(verdict(content), "fine") << now << message(content);
    EXPECT_EQ(as_text(content->content), kText);
    EXPECT_EQ(content->signer.subject, "CN=driverext node key");
    EXPECT_EQ(content->signer.fingerprint, key.fingerprint());
    EXPECT_EQ(verdict(store.verify_detached(detached_cms, as_bytes(kText), at(now))), "fine") << now;
  }
}

TEST(SigningKey, GeneratedOnesDiffer) {
  const SigningKey::Pem one = must(SigningKey::generate("x"));
  const SigningKey::Pem two = must(SigningKey::generate("x"));
  EXPECT_NE(one.key, two.key);
  EXPECT_EQ(verdict(SigningKey::from_pem(one.key, two.certificate)), "invalid_input");
  // Of the same name, and still not each other's.
  TrustStore store;
  must(store.add_pem(one.certificate, "one"));
  const Bytes cms = must(must(SigningKey::from_pem(two.key, two.certificate)).sign_attached(as_bytes(kText)));
  EXPECT_EQ(store.verify_attached(cms, at(kNow)).error().code, Errc::untrusted);
}

}  // namespace
}  // namespace driverext
