#include "sysext/image_signer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::TempDir;
using test::verdict;

class SignImage : public ::testing::Test {
 protected:
  // Signs the bytes; returns the result's bytes, or the verdict.
  std::string sign(const std::string& bytes) {
    const ImageFile image = test::must(test::open_bytes(bytes));
    const auto done = sign_image(image, test::publisher().signing_key(), scratch_ / "out.raw");
    return done ? test::read_whole(scratch_ / "out.raw") : verdict(done);
  }
  TempDir scratch_;
};

TEST_F(SignImage, SignedLaterEqualsSignedAtBuildInAllButTheSignatures) {
  const std::string at_build = build_bytes({}, &test::publisher());
  std::string later = sign(build_bytes({}, nullptr));
  EXPECT_EQ(verdict(test::verify_bytes(later)), "fine");
  // Signatures hold a random number (ECDSA) and a time (CMS); nothing else may differ.
  const auto take_signatures = [](const std::string& bytes) {
    return test::with_signature_edit(bytes, [](OrderedJson& signature) {
      signature["signature"] = "";
      signature["driverext"] = "";
    });
  };
  EXPECT_TRUE(take_signatures(at_build) == take_signatures(later));
}

TEST_F(SignImage, AnotherSignersImageCanBeSignedAnew) {
  const std::string foreign = build_bytes({}, &test::stranger());
  EXPECT_EQ(verdict(test::verify_bytes(foreign)), "untrusted/untrusted-signer");
  EXPECT_EQ(verdict(test::verify_bytes(sign(foreign))), "fine");
}

TEST_F(SignImage, DamagedImageIsNotSigned) {
  const std::string good = build_bytes({}, nullptr);
  const auto partitions = test::partitions_of(good);
  EXPECT_EQ(sign(test::flipped(good, partitions[0].offset + partitions[0].size - 1)), "untrusted/data-corrupt");
  EXPECT_EQ(sign(test::flipped(good, partitions[0].offset)), "untrusted/data-corrupt");
  EXPECT_EQ(sign(test::flipped(good, partitions[1].offset + 4096)), "untrusted/hash-tree-corrupt");
  EXPECT_EQ(sign(test::with_signature_edit(
                good, [](OrderedJson& signature) { signature["rootHash"] = std::string(64, '0'); })),
            "untrusted/hash-tree-corrupt");
  EXPECT_FALSE(test::exists(scratch_ / "out.raw"));
}

TEST_F(SignImage, UnreadableManifestIsNotSigned) {
  const std::string good = build_bytes({}, nullptr);
  EXPECT_EQ(sign(test::with_signature_edit(good, [](OrderedJson& signature) { signature["manifest"] = "{}"; })),
            "invalid_input");
  EXPECT_EQ(sign(test::with_signature_edit(good, [](OrderedJson& signature) { signature.erase("manifest"); })),
            "invalid_input");
  EXPECT_FALSE(test::exists(scratch_ / "out.raw"));
}

TEST_F(SignImage, ManifestThatTheImageWasNotBuiltWithIsNotSigned) {
  const std::string good = build_bytes({}, nullptr);
  const std::string swapped = test::with_signature_edit(good, [](OrderedJson& signature) {
    auto text = signature["manifest"].get<std::string>();
    const size_t version = text.find("\"version\": \"") + 12;
    text[version] = text[version] == '9' ? '8' : '9';
    signature["manifest"] = text;
  });
  EXPECT_EQ(sign(swapped), "untrusted/manifest-mismatch");
  EXPECT_FALSE(test::exists(scratch_ / "out.raw"));
}

}  // namespace
}  // namespace driverext
