// Signed images without a manifest: checked as far as they can be, and never more than looked at.
#include "sysext/foreign_image.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/fixture.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::flipped;
using test::must;
using test::open_bytes;
using test::verdict;

// What systemd-repart would have made of the same file system. (tests/host has one that it did make.)
std::string foreign(const std::string& bytes) {
  return test::with_signature_edit(bytes, [](OrderedJson& signature) { signature.erase("driverext"); });
}
const std::string& large() {
  static const std::string bytes = foreign(test::kept_bytes({.padding = 700'000}));
  return bytes;
}

std::string full_check(const std::string& bytes, const TrustStore& anchors = test::publisher_only()) {
  Result<ImageFile> file = open_bytes(bytes);
  if (!file) return verdict(file);
  const Result<ForeignImage> image = verify_foreign(*std::move(file), anchors, test::kNow);
  if (!image) return verdict(image);
  return verdict(image->check_all_data());
}

TEST(ForeignImage, IsCheckedAsFarAsItsSignatureGoes) {
  EXPECT_EQ(full_check(large()), "fine");
  EXPECT_EQ(full_check(foreign(test::sample_bytes())), "fine");
  const ForeignImage image = must(verify_foreign(must(open_bytes(large())), test::publisher_only(), test::kNow));
  EXPECT_EQ(image.signer().fingerprint, test::publisher().signing_key().fingerprint());
}

TEST(ForeignImage, DamageIsFoundWhereItIs) {
  const auto partitions = test::partitions_of(large());
  EXPECT_EQ(full_check(flipped(large(), partitions[0].offset)), "untrusted/data-corrupt");
  EXPECT_EQ(full_check(flipped(large(), partitions[0].offset + partitions[0].size - 1)), "untrusted/data-corrupt");
  for (uint64_t block = 1; block < partitions[1].size / 4096; ++block) {
    EXPECT_EQ(full_check(flipped(large(), partitions[1].offset + block * 4096)), "untrusted/hash-tree-corrupt")
        << block;
  }
}

TEST(ForeignImage, StrangersAreNotTrusted) {
  EXPECT_EQ(full_check(foreign(test::build_bytes({}, &test::stranger()))), "untrusted/untrusted-signer");
  EXPECT_EQ(full_check(large(), TrustStore()), "untrusted/no-trust-anchor");
}

// Else what the policy refuses would be accepted once its manifest is cut off.
TEST(ForeignImage, CannotBeJudgedWhereThePolicyHasRulesForDrivers) {
  TrustStore anchors = test::publisher_only();
  for (const char* rule : {"minimum-version = \"1\"", "anchors = [\"publisher.crt\"]", "anchors = []", ""}) {
    for (const char* driver : {"testcam", "another"}) {
      const std::string policy = std::string("[driver.") + driver + "]\n" + rule + "\n";
      anchors.set_policy(must(parse_trust_policy(policy, "policy.toml")));
      EXPECT_EQ(full_check(large(), anchors), "untrusted/manifest-missing") << policy;
    }
  }
  anchors.set_policy(must(parse_trust_policy("precheck = \"full\"\n", "policy.toml")));
  EXPECT_EQ(full_check(large(), anchors), "fine");
}

TEST(ForeignImage, FingerprintMustBeTheSigners) {
  EXPECT_EQ(full_check(test::with_signature_edit(
                large(), [](OrderedJson& signature) { signature["certificateFingerprint"] = std::string(64, 'a'); })),
            "untrusted/signature-invalid");
}

TEST(ForeignImage, ImageWithAManifestIsNone) {
  EXPECT_EQ(full_check(test::sample_bytes()), "invalid_input");
  EXPECT_EQ(full_check(test::build_bytes({}, nullptr)), "invalid_input");
}

TEST(ForeignImage, IsNeverProvisioned) {
  test::FakeHost host;
  host.drop("testcam.raw", foreign(test::sample_bytes()));
  const test::KernelState before = host.kernel.state();
  EXPECT_EQ(reason_info(host.provision().reason).code, "manifest-missing");
  EXPECT_EQ(host.kernel.state(), before);
}

}  // namespace
}  // namespace driverext
