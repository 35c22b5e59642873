// The policy file: what it says, and that it can only say no.
#include "crypto/trust_policy.hpp"

#include <gtest/gtest.h>

#include "crypto/trust_store.hpp"
#include "support/signer.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

Result<TrustPolicy> parse(const std::string& text) { return parse_trust_policy(text, "policy.toml"); }

const std::string kHash(64, 'a');

TEST(TrustPolicy, EmptyFileIsTheDefaults) {
  const TrustPolicy policy = must(parse(""));
  EXPECT_EQ(policy.certificates.digests, (std::set<std::string>{"sha256", "sha384", "sha512"}));
  EXPECT_EQ(policy.certificates.keys.rsa_bits, 2048U);
  EXPECT_EQ(policy.certificates.keys.curves, (std::set<std::string>{"P-256", "P-384", "P-521"}));
  EXPECT_EQ(policy.certificates.crl, CrlRule::if_there);
  EXPECT_TRUE(policy.certificates.extended_key_usage.empty());
  EXPECT_TRUE(policy.revoked_root_hashes.empty());
  EXPECT_EQ(policy.rules_for("any").minimum_version, "");
  EXPECT_FALSE(policy.rules_for("any").anchors);
  EXPECT_EQ(policy.precheck, Precheck::tree);
}

TEST(TrustPolicy, EverySettingIsRead) {
  const TrustPolicy policy =
      must(parse("precheck = \"full\"\n"
                 "[signature]\n"
                 "digests = [\"sha384\", \"sha512\"]\n"
                 "extended-key-usage = \"codeSigning\"\n"
                 "require-crl = true\n"
                 "[keys]\n"
                 "rsa = 3072\n"
                 "ec = [\"P-384\"]\n"
                 "[revoked]\n"
                 "root-hashes = [\"" +
                 kHash +
                 "\"]\n"
                 "[driver.gpu]\n"
                 "minimum-version = \"580.65.06\"\n"
                 "anchors = [\"vendor.crt\", \"" +
                 std::string(64, 'B') +
                 "\"]\n"
                 "[driver.\"*\"]\n"
                 "anchors = []\n"));
  EXPECT_EQ(policy.precheck, Precheck::full);
  EXPECT_EQ(policy.certificates.digests, (std::set<std::string>{"sha384", "sha512"}));
  EXPECT_EQ(policy.certificates.extended_key_usage, "1.3.6.1.5.5.7.3.3");
  EXPECT_EQ(policy.certificates.crl, CrlRule::required);
  EXPECT_EQ(policy.certificates.keys.rsa_bits, 3072U);
  EXPECT_EQ(policy.certificates.keys.curves, (std::set<std::string>{"P-384"}));
  EXPECT_FALSE(policy.certificates.keys.ed25519);
  EXPECT_EQ(policy.revoked_root_hashes.size(), 1U);
  EXPECT_EQ(policy.rules_for("gpu").minimum_version, "580.65.06");
  EXPECT_EQ(policy.rules_for("gpu").anchors, (std::vector<std::string>{"vendor.crt", std::string(64, 'b')}));
  EXPECT_EQ(policy.rules_for("cam").anchors, std::vector<std::string>());
}

// There is no setting that says yes: each of these is an unknown key or a value that is not accepted.
TEST(TrustPolicy, OneThatTriesToSayYesToUnsignedIsRefused) {
  for (const char* text : {
           "unsigned = true",
           "allow-unsigned = true",
           "verify = \"off\"",
           "verify = false",
           "precheck = \"off\"",
           "precheck = \"none\"",
           "precheck = false",
           "[signature]\nrequired = false",
           "[signature]\nverify = false",
           "[signature]\nunsigned = \"accept\"",
           "[signature]\ndigests = []",
           "[signature]\ndigests = [\"none\"]",
           "[signature]\ndigests = [\"sha1\"]",
           "[signature]\ndigests = [\"sha256\", \"md5\"]",
           "[signature]\ndigests = \"any\"",
           "[signature]\nextended-key-usage = \"\"",
           "[signature]\nexpired = \"accept\"",
           "[keys]\nrsa = 0",
           "[keys]\nrsa = 1024",
           "[keys]\nrsa = 2047",
           "[keys]\nrsa = -1",
           "[keys]\nrsa = true",
           "[keys]\nrsa = \"any\"",
           "[keys]\nec = [\"P-192\"]",
           "[keys]\nec = [\"secp256k1\"]",
           "[keys]\ndsa = 2048",
           "[driver.testcam]\nunsigned = true",
           "[driver.testcam]\nverify = false",
           "[driver.testcam]\nanchors = [\"*\"]",
           "[driver.testcam]\nanchors = \"any\"",
           "[anchors]\nany = true",
       }) {
    EXPECT_EQ(verdict(parse(text)), "invalid_input/config-invalid") << text;
  }
}

TEST(TrustPolicy, DamagedOneIsRefusedWithFileAndLine) {
  for (const std::string& text : {
           std::string("[signature\n"),
           std::string("[keys]\n"),  // accepts no key at all
           std::string("[keys]\ned25519 = true\n"),
           std::string("[signature]\nextended-key-usage = \"noSuchUsage\"\n"),
           std::string("[signature]\nrequire-crl = \"yes\"\n"),
           std::string("[revoked]\nroot-hashes = [\"abc\"]\n"),
           std::string("[revoked]\nroot-hashes = [\"" + std::string(64, 'g') + "\"]\n"),
           std::string("[revoked]\nroot-hashes = \"" + kHash + "\"\n"),
           std::string("[revoked]\nhashes = []\n"),
           std::string("driver = 1\n"),
           std::string("[driver]\ntestcam = 1\n"),
           std::string("[driver.\"../x\"]\n"),
           std::string("[driver.testcam]\nminimum-version = \"new\"\n"),
           std::string("[driver.testcam]\nminimum-version = \"\"\n"),
           std::string("[driver.testcam]\nminimum-version = 580\n"),
           std::string("[driver.\"*\"]\nminimum-version = \"1\"\n"),
           std::string("[driver.testcam]\nanchors = [\"a/b.crt\"]\n"),
           std::string("[driver.testcam]\nanchors = [\"abcd\"]\n"),
           std::string("precheck = \"tree\"\nprecheck = \"full\"\n"),
       }) {
    const auto result = parse(text);
    EXPECT_EQ(verdict(result), "invalid_input/config-invalid") << text;
    EXPECT_EQ(message(result).find("policy.toml:"), 0U) << message(result);
  }
}

TEST(TrustPolicy, FingerprintsMayBeWrittenAsOpensslPrintsThem) {
  std::string printed;
  for (int i = 0; i < 32; ++i) printed += (i == 0 ? "AB" : ":AB");
  std::string plain;
  for (int i = 0; i < 32; ++i) plain += "ab";
  const TrustPolicy policy = must(parse("[driver.x]\nanchors = [\"" + printed + "\"]"));
  EXPECT_EQ(policy.rules_for("x").anchors, std::vector<std::string>{plain});
}

TEST(TrustPolicy, TableOfADriverDoesNotOpenItToOtherAnchors) {
  const std::string all = "[driver.\"*\"]\nanchors = [\"fleet.crt\"]\n";
  const auto anchors = [&](const std::string& own) {
    return must(parse(all + "[driver.gpu]\n" + own)).rules_for("gpu").anchors;
  };
  EXPECT_EQ(anchors("minimum-version = \"580\"\n"), std::vector<std::string>{"fleet.crt"});
  EXPECT_EQ(anchors(""), std::vector<std::string>{"fleet.crt"});
  EXPECT_EQ(anchors("anchors = [\"vendor.crt\"]\n"), std::vector<std::string>{"vendor.crt"});
  EXPECT_EQ(anchors("anchors = []\n"), std::vector<std::string>());
}

TEST(TrustPolicy, RefusalsOfTheVendorHoldBesideThePolicyOfTheNode) {
  const std::string other(64, 'b');
  const std::string vendor = "precheck = \"full\"\n[signature]\nrequire-crl = true\n[revoked]\nroot-hashes = [\"" +
                             kHash +
                             "\"]\n[driver.gpu]\nminimum-version = \"580.9\"\nanchors = [\"vendor.crt\"]\n"
                             "[driver.cam]\nminimum-version = \"2\"\n[driver.\"*\"]\nanchors = []\n";
  const std::string node = "[revoked]\nroot-hashes = [\"" + other +
                           "\"]\n[driver.gpu]\nminimum-version = \"580.65\"\n[driver.cam]\nminimum-version = \"1\"\n"
                           "[driver.\"*\"]\nanchors = [\"fleet.crt\"]\n";
  const test::TempDir scratch;
  test::write_file(scratch / "etc/policy.toml", node);
  test::write_file(scratch / "usr/policy.toml", vendor);
  const TrustStore store = must(TrustStore::load(scratch.dir(), {"etc", "usr"}));
  EXPECT_EQ(store.policy().precheck, Precheck::full);
  EXPECT_EQ(store.policy().certificates.crl, CrlRule::required);
  EXPECT_EQ(store.policy().revoked_root_hashes.size(), 2U);
  EXPECT_EQ(store.policy().rules_for("gpu").minimum_version, "580.65");
  EXPECT_EQ(store.policy().rules_for("cam").minimum_version, "2");
  // Who may sign is the node's to say.
  EXPECT_EQ(store.policy().rules_for("gpu").anchors, std::vector<std::string>{"fleet.crt"});
  EXPECT_EQ(store.policy().rules_for("cam").anchors, std::vector<std::string>{"fleet.crt"});
  EXPECT_EQ(store.policy().rules_for("any").anchors, std::vector<std::string>{"fleet.crt"});

  // Strict as each of them is: an empty policy of the node takes nothing of that back.
  test::write_file(scratch / "etc/policy.toml", "");
  const TrustStore strict = must(TrustStore::load(scratch.dir(), {"etc", "usr"}));
  EXPECT_EQ(strict.policy().precheck, Precheck::full);
  EXPECT_EQ(strict.policy().certificates.crl, CrlRule::required);
  EXPECT_EQ(strict.policy().revoked_root_hashes.size(), 1U);
  EXPECT_EQ(strict.policy().rules_for("gpu").minimum_version, "580.9");
  EXPECT_EQ(strict.policy().rules_for("gpu").anchors, std::vector<std::string>{"vendor.crt"});
  EXPECT_EQ(strict.policy().rules_for("any").anchors, std::vector<std::string>());
}

TEST(TrustPolicy, RulesThatTheNodeDoesNotStateAreTheVendors) {
  const std::string vendor =
      "[signature]\ndigests = [\"sha512\"]\nextended-key-usage = \"codeSigning\"\n[keys]\nrsa = 4096\n"
      "[driver.gpu]\nanchors = [\"vendor.crt\"]\n[driver.cam]\nanchors = [\"cams.crt\"]\n";
  const std::string revoked = "[revoked]\nroot-hashes = [\"" + kHash + "\"]\n";
  const auto together = [&](const std::string& node) {
    TrustStore store;
    store.add_policy(must(parse(node)));
    store.add_policy(must(parse(vendor)));
    return store.policy();
  };
  for (const std::string& says_nothing_of_signers : {std::string(), revoked, std::string("precheck = \"full\"\n")}) {
    const TrustPolicy policy = together(says_nothing_of_signers);
    EXPECT_EQ(policy.certificates.digests, std::set<std::string>{"sha512"});
    EXPECT_EQ(policy.certificates.extended_key_usage, "1.3.6.1.5.5.7.3.3");
    EXPECT_EQ(policy.certificates.keys.rsa_bits, 4096U);
    EXPECT_TRUE(policy.certificates.keys.curves.empty());
    EXPECT_EQ(policy.rules_for("gpu").anchors, std::vector<std::string>{"vendor.crt"});
    EXPECT_EQ(policy.rules_for("cam").anchors, std::vector<std::string>{"cams.crt"});
  }
  // Each key by itself, and of drivers each driver's.
  TrustPolicy policy = together("[signature]\ndigests = [\"sha256\"]\n");
  EXPECT_EQ(policy.certificates.digests, std::set<std::string>{"sha256"});
  EXPECT_EQ(policy.certificates.extended_key_usage, "1.3.6.1.5.5.7.3.3");
  policy = together("[keys]\nec = [\"P-256\"]\n");
  EXPECT_FALSE(policy.certificates.keys.rsa_bits);
  EXPECT_EQ(policy.certificates.digests, std::set<std::string>{"sha512"});
  policy = together("[driver.gpu]\nanchors = [\"mine.crt\"]\n");
  EXPECT_EQ(policy.rules_for("gpu").anchors, std::vector<std::string>{"mine.crt"});
  EXPECT_EQ(policy.rules_for("cam").anchors, std::vector<std::string>{"cams.crt"});
  EXPECT_FALSE(policy.rules_for("any").anchors);
  policy = together("[driver.gpu]\nminimum-version = \"2\"\n");
  EXPECT_EQ(policy.rules_for("gpu").anchors, std::vector<std::string>{"vendor.crt"});
}

TEST(TrustPolicy, OfSeveralTheFirstDecidesAndTheRefusalsOfAllHold) {
  const auto revoking = [](char digit) { return "[revoked]\nroot-hashes = [\"" + std::string(64, digit) + "\"]\n"; };
  TrustStore store;
  store.add_policy(must(parse(revoking('a'))));
  store.add_policy(must(parse("[keys]\nrsa = 4096\n" + revoking('b'))));
  store.add_policy(must(parse("[keys]\nrsa = 3072\n[signature]\nrequire-crl = true\n" + revoking('c'))));
  EXPECT_EQ(store.policy().revoked_root_hashes.size(), 3U);
  EXPECT_EQ(store.policy().certificates.keys.rsa_bits, 4096U);
  EXPECT_EQ(store.policy().certificates.crl, CrlRule::required);
}

TEST(TrustPolicy, NodeStatesKindsOfKeyInPlaceOfTheVendor) {
  const test::TempDir scratch;
  test::write_file(scratch / "etc/policy.toml", "precheck = \"full\"\n[keys]\nrsa = 2048\n");
  test::write_file(scratch / "usr/policy.toml", "[keys]\nrsa = 4096\n");
  const TrustStore both = must(TrustStore::load(scratch.dir(), {"etc", "usr"}));
  EXPECT_EQ(both.policy().precheck, Precheck::full);
  EXPECT_EQ(both.policy().certificates.keys.rsa_bits, 2048U);
  EXPECT_EQ(must(TrustStore::load(scratch.dir(), {"absent", "usr"})).policy().certificates.keys.rsa_bits, 4096U);
  EXPECT_EQ(must(TrustStore::load(scratch.dir(), {"absent"})).policy().precheck, Precheck::tree);
}

TEST(TrustPolicy, OneThatCannotBeReadTrustsNothing) {
  const test::TempDir scratch;
  test::write_file(scratch / "etc/publisher.crt", test::make_identity().certificate_pem);
  ASSERT_TRUE(TrustStore::load(scratch.dir(), {"etc", "usr"}));
  const auto load = [&] { return verdict(TrustStore::load(scratch.dir(), {"etc", "usr"})); };
  test::write_file(scratch / "usr/policy.toml", "precheck = \"tree\"\n");
  test::write_file(scratch / "etc/policy.toml", "unsigned = true\n");
  EXPECT_EQ(load(), "invalid_input/config-invalid");  // never the one of the other folder instead
  test::write_file(scratch / "etc/policy.toml", "");
  test::write_file(scratch / "usr/policy.toml", "unsigned = true\n");
  EXPECT_EQ(load(), "invalid_input/config-invalid");  // nor without it
  must(scratch.dir().remove_file("usr/policy.toml"));
  test::write_file(scratch / "etc/policy.toml", std::string(size_t{2} << 20, '#'));
  EXPECT_EQ(load(), "invalid_input/config-invalid");
  must(scratch.dir().remove_file("etc/policy.toml"));
  must(scratch.dir().make_link("nowhere", "etc/policy.toml"));
  EXPECT_EQ(load(), "not_found/config-invalid");
}

TEST(TrustPolicy, OwnKeyIsBoundByTheRulesOnImagesOnly) {
  const TrustPolicy own = must(parse("precheck = \"full\"\n"
                                     "[signature]\nrequire-crl = true\n"
                                     "[keys]\nrsa = 4096\n"
                                     "[revoked]\nroot-hashes = [\"" +
                                     kHash + "\"]\n[driver.x]\nminimum-version = \"2\"\nanchors = []\n"))
                              .for_own_key();
  EXPECT_EQ(own.certificates.crl, CrlRule::if_there);
  EXPECT_FALSE(own.certificates.keys.curves.empty());
  EXPECT_EQ(own.precheck, Precheck::full);
  EXPECT_EQ(own.revoked_root_hashes.size(), 1U);
  EXPECT_EQ(own.rules_for("x").minimum_version, "2");
  EXPECT_FALSE(own.rules_for("x").anchors);
}

}  // namespace
}  // namespace driverext
