// The rules of the trust policy on images, on images that are really built and signed.
#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sysext/image_policy.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {
namespace {

using test::Identity;
using test::make_identity;
using test::message;
using test::must;
using test::open_bytes;
using test::Role;
using test::sample_bytes;
using test::verdict;

TrustStore with_policy(const std::string& policy) {
  TrustStore anchors;
  must(anchors.add_pem(test::publisher().certificate_pem, "trust/publisher.crt"));
  anchors.set_policy(must(parse_trust_policy(policy, "policy.toml")));
  return anchors;
}

Result<VerifiedImage> verify(const std::string& bytes, const TrustStore& anchors) {
  return VerifiedImage::verify(must(open_bytes(bytes)), anchors, test::kNow);
}

std::string outcome(const std::string& policy, const std::string& bytes = sample_bytes()) {
  return verdict(verify(bytes, with_policy(policy)));
}

std::string root_hash(const std::string& bytes) { return test::signature_of(bytes)["rootHash"]; }

TEST(ImagePolicy, RevokedRootHashIsRefused) {
  const std::string other(64, '0');
  EXPECT_EQ(outcome("[revoked]\nroot-hashes = [\"" + other + "\"]\n"), "fine");
  EXPECT_EQ(outcome("[revoked]\nroot-hashes = [\"" + other + "\", \"" + root_hash(sample_bytes()) + "\"]\n"),
            "untrusted/image-revoked");
}

TEST(ImagePolicy, VersionBelowTheMinimumIsRefused) {
  const std::string& bytes = test::kept_bytes({.version = "580.65.06"});
  const auto minimum = [&](const std::string& version) {
    return outcome("[driver.testcam]\nminimum-version = \"" + version + "\"\n", bytes);
  };
  EXPECT_EQ(minimum("580"), "fine");
  EXPECT_EQ(minimum("580.65.06"), "fine");
  EXPECT_EQ(minimum("580.65.6"), "fine");
  EXPECT_EQ(minimum("580.65.07"), "untrusted/version-too-old");
  EXPECT_EQ(minimum("580.159.04"), "untrusted/version-too-old");
  EXPECT_EQ(outcome("[driver.othercam]\nminimum-version = \"9999\"\n", bytes), "fine");
}

TEST(ImagePolicy, VersionThatCannotBeComparedIsRefusedOnceThereIsAMinimum) {
  const std::string& bytes = test::kept_bytes({.version = "git20230101"});
  EXPECT_EQ(outcome("", bytes), "fine");
  EXPECT_EQ(outcome("[driver.testcam]\nminimum-version = \"1\"\n", bytes), "untrusted/version-too-old");
}

TEST(ImagePolicy, MinimumVersionHoldsForSourceToo) {
  const std::string& bytes = test::kept_bytes(test::sample_source());
  EXPECT_EQ(outcome("[driver.testcam]\nminimum-version = \"1.0\"\n", bytes), "fine");
  EXPECT_EQ(outcome("[driver.testcam]\nminimum-version = \"1.1\"\n", bytes), "untrusted/version-too-old");
}

TEST(ImagePolicy, OnlyTheNamedAnchorsMaySignADriver) {
  const std::string fingerprint = test::publisher().signing_key().fingerprint();
  const auto rule = [](const std::string& driver, const std::string& anchors) {
    return outcome("[driver.\"" + driver + "\"]\nanchors = [" + anchors + "]\n");
  };
  EXPECT_EQ(rule("testcam", "\"publisher.crt\""), "fine");
  EXPECT_EQ(rule("testcam", "\"" + fingerprint + "\""), "fine");
  EXPECT_EQ(rule("testcam", "\"vendor.crt\", \"publisher.crt\""), "fine");
  EXPECT_EQ(rule("testcam", "\"vendor.crt\""), "untrusted/untrusted-signer");
  EXPECT_EQ(rule("testcam", "\"" + std::string(64, '0') + "\""), "untrusted/untrusted-signer");
  EXPECT_EQ(rule("testcam", ""), "untrusted/untrusted-signer");
  EXPECT_EQ(rule("*", "\"vendor.crt\""), "untrusted/untrusted-signer");
  EXPECT_EQ(rule("othercam", "\"vendor.crt\""), "fine");
}

TEST(ImagePolicy, AnchorIsKnownByEachNameThatItHas) {
  TrustStore anchors = with_policy("[driver.testcam]\nanchors = [\"vendor.crt\"]\n");
  must(anchors.add_pem(test::publisher().certificate_pem, "other/vendor.crt"));
  EXPECT_EQ(verdict(verify(sample_bytes(), anchors)), "fine");
}

TEST(ImagePolicy, AnchorsOfADriverTakeThePlaceOfThoseForAllOthers) {
  EXPECT_EQ(outcome("[driver.\"*\"]\nanchors = []\n[driver.testcam]\nanchors = [\"publisher.crt\"]\n"), "fine");
  EXPECT_EQ(outcome("[driver.\"*\"]\nanchors = []\n[driver.testcam]\nminimum-version = \"1\"\n"),
            "untrusted/untrusted-signer");
  EXPECT_EQ(outcome("[driver.\"*\"]\nanchors = []\n[driver.othercam]\nminimum-version = \"1\"\n"),
            "untrusted/untrusted-signer");
}

TEST(ImagePolicy, AnchorThatVouchesThroughAChainMaySign) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity leaf = make_identity({.name = "leaf", .issuer = &root});
  const std::string bytes = test::build_bytes({}, &leaf);
  TrustStore anchors = with_policy("[driver.testcam]\nanchors = [\"vendor.crt\"]\n");
  must(anchors.add_pem(root.certificate_pem, "trust/vendor.crt"));
  EXPECT_EQ(verdict(verify(bytes, anchors)), "fine");
  const auto result = verify(sample_bytes(), anchors);
  EXPECT_EQ(verdict(result), "untrusted/untrusted-signer");
  EXPECT_NE(message(result).find("publisher.crt"), std::string::npos) << message(result);
  EXPECT_NE(message(result).find("testcam"), std::string::npos) << message(result);
}

TEST(ImagePolicy, RevokedSignerIsRefused) {
  const Identity root = make_identity({.name = "root", .role = Role::authority});
  const Identity leaf = make_identity({.name = "leaf", .issuer = &root});
  const std::string bytes = test::build_bytes({}, &leaf);
  TrustStore anchors;
  must(anchors.add_pem(root.certificate_pem, "root.crt"));
  EXPECT_EQ(verdict(verify(bytes, anchors)), "fine");
  must(anchors.add_crl(as_bytes(test::make_crl({.issuer = &root, .revoked = {&leaf}})), "root.crl"));
  EXPECT_EQ(verdict(verify(bytes, anchors)), "untrusted/signer-revoked");
}

// What is said of a stranger's image is that it is a stranger's.
TEST(ImagePolicy, RulesOnImagesAreAskedLast) {
  const std::string policy = "[driver.testcam]\nminimum-version = \"2\"\n";
  EXPECT_EQ(outcome(policy, test::build_bytes({}, &test::stranger())), "untrusted/untrusted-signer");
  EXPECT_EQ(outcome(policy), "untrusted/version-too-old");
  const std::string& other = test::kept_bytes({.version = "1.5"});
  const OrderedJson theirs = test::signature_of(other);
  const std::string swapped = test::with_signature_edit(
      sample_bytes(), [&](OrderedJson& signature) { signature["driverext"] = theirs["driverext"]; });
  EXPECT_EQ(outcome(policy, swapped), "untrusted/manifest-mismatch");
}

TEST(ImagePolicy, ImageKnowsHowMuchOfItMustBeRead) {
  EXPECT_EQ(must(verify(sample_bytes(), with_policy(""))).precheck(), Precheck::tree);
  EXPECT_EQ(must(verify(sample_bytes(), with_policy("precheck = \"full\"\n"))).precheck(), Precheck::full);
}

}  // namespace
}  // namespace driverext
