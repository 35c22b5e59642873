#include "crypto/signing_key.hpp"

#include <gtest/gtest.h>

#include "crypto/key_generation.hpp"
#include "crypto/signed_content.hpp"
#include "crypto/trust_store.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

constexpr std::string_view kText = "what is signed";
constexpr int64_t kUntil = 1'900'000'000;

JudgedTime at(int64_t seconds) {
  return [seconds](ByteSpan) -> Result<int64_t> { return seconds; };
}

TEST(KeyLocation, UriIsKnownByItsScheme) {
  for (const char* uri : {"pkcs11:token=x", "org.openssl.engine:pkcs11:1", "handle:0x81000000", "file:/x"}) {
    EXPECT_TRUE(is_key_uri(uri)) << uri;
  }
  for (const char* file : {"publisher.key", "./pkcs11:x", "/a:b", "a/b:c", "", ":x", "Key:1", "0x1"}) {
    EXPECT_FALSE(is_key_uri(file)) << file;
  }
}

TEST(KeyLocation, PinIsNeverShown) {
  EXPECT_EQ(without_pin("pkcs11:token=a;pin-value=1234;object=b"), "pkcs11:token=a;pin-value=…;object=b");
  EXPECT_EQ(without_pin("pkcs11:token=a?pin-value=12&pin-value=34"), "pkcs11:token=a?pin-value=…&pin-value=…");
  EXPECT_EQ(without_pin("pkcs11:token=a?pin-value=1234"), "pkcs11:token=a?pin-value=…");
  EXPECT_EQ(without_pin("pkcs11:token=a"), "pkcs11:token=a");
}

class GeneratedKeys : public ::testing::TestWithParam<const char*> {};

TEST_P(GeneratedKeys, SignAndAreBelievedUntilTheirDay) {
  const GeneratedKey made =
      must(generate_key({.common_name = "x", .type = must(key_type_of_name(GetParam())), .valid_until = kUntil}));
  const SigningKey key = must(SigningKey::from_pem(made.key_pem, made.certificate_pem));
  EXPECT_EQ(key.fingerprint(), made.fingerprint);
  TrustStore store;
  must(store.add_pem(made.certificate_pem, "made"));
  const Bytes attached = must(key.sign_attached(as_bytes(kText)));
  const Bytes detached = must(key.sign_detached(as_bytes(kText)));
  // From 1970 on: a clock may be behind, and an image may say that it is older than its signer.
  for (const int64_t now : {int64_t{0}, kUntil - 1}) {
    EXPECT_EQ(verdict(store.verify_attached(attached, at(now))), "fine") << now;
    EXPECT_EQ(verdict(store.verify_detached(detached, as_bytes(kText), at(now))), "fine") << now;
  }
  EXPECT_EQ(verdict(store.verify_attached(attached, at(kUntil + 1))), "untrusted/untrusted-signer");
}

TEST_P(GeneratedKeys, SignWithoutCertificateAndAttributes) {
  const GeneratedKey made =
      must(generate_key({.common_name = "the signer", .type = must(key_type_of_name(GetParam()))}));
  const SigningKey key = must(SigningKey::from_pem(made.key_pem, made.certificate_pem));
  TrustStore store;
  must(store.add_pem(made.certificate_pem, "made"));
  for (const auto& [hash, name] :
       {std::pair(SignatureHash::sha256, "sha256"), std::pair(SignatureHash::sha512, "sha512")}) {
    const Bytes bare = must(key.sign_bare(as_bytes(kText), hash));
    EXPECT_EQ(verdict(store.verify_detached(bare, as_bytes(kText), at(0))), "fine");
    EXPECT_EQ(verdict(store.verify_detached(bare, as_bytes("another text"), at(0))), "untrusted/signature-invalid");
    const UnverifiedSigner signer = must(unverified_signer(bare));
    EXPECT_EQ(signer.issuer, "the signer");
    EXPECT_EQ(signer.digest, name);
    EXPECT_EQ(signer.attribute_count, 0U);
    EXPECT_FALSE(signer.holds_content);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, GeneratedKeys, ::testing::Values("p256", "p384", "rsa3072"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST(KeyGeneration, NamesAndTypesOutsideTheRulesAreRefused) {
  EXPECT_EQ(verdict(generate_key({.common_name = ""})), "invalid_input");
  EXPECT_EQ(verdict(generate_key({.common_name = std::string(65, 'x')})), "invalid_input");
  EXPECT_EQ(verdict(generate_key({.common_name = std::string(64, 'x')})), "fine");
  for (const char* type : {"", "rsa", "rsa2048", "ed25519", "P256"}) {
    EXPECT_EQ(verdict(key_type_of_name(type)), "invalid_input") << type;
  }
}

class LockedKey : public ::testing::Test {
 protected:
  LockedKey() : made_(must(generate_key({.common_name = "x", .passphrase = "open sesame"}))) {
    test::write_file(folder_ / "key", made_.key_pem);
  }
  Result<SigningKey> open(Result<std::string> answer) {
    return SigningKey::open({.location = folder_ / "key",
                             .secret = [this, answer](const std::string& prompt) -> Result<std::string> {
                               ++asked_;
                               prompt_ = prompt;
                               if (!answer) return answer.error();
                               return *answer;
                             }},
                            made_.certificate_pem);
  }

  test::TempDir folder_;
  GeneratedKey made_;
  std::string prompt_;
  int asked_ = 0;
};

TEST_F(LockedKey, IsOpenedWithItsPassphrase) {
  EXPECT_NE(made_.key_pem.find("ENCRYPTED"), std::string::npos);
  EXPECT_EQ(verdict(open(std::string("open sesame"))), "fine");
  EXPECT_EQ(asked_, 1);
  EXPECT_NE(prompt_.find(folder_ / "key"), std::string::npos);
}

TEST_F(LockedKey, IsNotOpenedWithAnotherPassphrase) {
  const auto result = open(std::string("shut"));
  EXPECT_EQ(verdict(result), "invalid_input");
  EXPECT_NE(test::message(result).find("wrong passphrase"), std::string::npos) << test::message(result);
  EXPECT_EQ(asked_, 1);
}

TEST_F(LockedKey, TellsWhyNobodyGaveThePassphrase) {
  EXPECT_EQ(verdict(open(make_error(Errc::transient, "interrupted"))), "transient");
  EXPECT_EQ(verdict(open(std::string(5000, 'x'))), "invalid_input");
  EXPECT_EQ(verdict(SigningKey::from_pem(made_.key_pem, made_.certificate_pem)), "invalid_input");
}

TEST(SigningKeyOpen, SaysWhatIsMissing) {
  const GeneratedKey made = must(generate_key({.common_name = "x"}));
  const test::TempDir folder;
  EXPECT_EQ(verdict(SigningKey::open({.location = folder / "none", .secret = {}}, made.certificate_pem)), "not_found");
  for (const char* uri : {"nobody-serves-this:1", "org.openssl.engine:nobody-made-this:1"}) {
    EXPECT_EQ(verdict(SigningKey::open({.location = uri, .secret = {}}, made.certificate_pem)), "unsupported") << uri;
  }
  for (const char* uri : {"org.openssl.engine:pkcs11", "org.openssl.engine:../../x:1"}) {
    EXPECT_EQ(verdict(SigningKey::open({.location = uri, .secret = {}}, made.certificate_pem)), "invalid_input") << uri;
  }
}

TEST(UnverifiedSigner, WhatIsNoSignatureIsRefused) {
  for (const std::string& text : {std::string(), std::string("text"), std::string(1000, '\x30')}) {
    EXPECT_EQ(verdict(unverified_signer(as_bytes(text))), "untrusted/signature-invalid");
  }
}

}  // namespace
}  // namespace driverext
