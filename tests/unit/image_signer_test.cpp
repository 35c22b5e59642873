#include "sysext/image_signer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sysext/output_file.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::must;
using test::TempDir;
using test::verdict;

class SignImage : public ::testing::Test {
 protected:
  // Signs the bytes; returns the result's bytes, or the verdict.
  std::string sign(const std::string& bytes) {
    const ImageFile image = must(test::open_bytes(bytes));
    const auto done =
        sign_image(image, test::publisher().signing_key(), {.path = scratch_ / "out.raw", .now = test::kNow});
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
  const std::string zeros(64, '0');
  const std::string other =
      test::with_signature_edit(good, [&](OrderedJson& signature) { signature["rootHash"] = zeros; });
  EXPECT_EQ(sign(test::with_uuids_of(other, zeros)), "untrusted/hash-tree-corrupt");
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

TEST_F(SignImage, InterruptedSigningLeavesNothing) {
  const UniqueFd cancel(::eventfd(1, EFD_CLOEXEC));
  const ImageFile image = must(test::open_bytes(build_bytes({}, nullptr)));
  EXPECT_EQ(verdict(sign_image(image, test::publisher().signing_key(),
                               {.path = scratch_ / "out.raw", .now = test::kNow, .cancel_fd = cancel.get()})),
            "transient");
  EXPECT_EQ(verdict(signing_input(image, cancel.get())), "transient");
  EXPECT_TRUE(must(scratch_.dir().list(".")).empty());
}

TEST_F(SignImage, CopyAndItsNameStopWhenAsked) {
  const UniqueFd cancel(::eventfd(0, EFD_CLOEXEC));
  test::write_file(scratch_ / "from", "content");
  const UniqueFd from(::open((scratch_ / "from").c_str(), O_RDONLY | O_CLOEXEC));
  {
    OutputFile out = must(OutputFile::create(scratch_ / "out"));
    must(copy_range(from.get(), 0, out.fd(), 0, 7, "out", cancel.get()));
    ASSERT_EQ(::eventfd_write(cancel.get(), 1), 0);
    EXPECT_EQ(verdict(copy_range(from.get(), 0, out.fd(), 0, 7, "out", cancel.get())), "transient");
    EXPECT_EQ(verdict(out.finish(7, cancel.get())), "transient");
  }
  EXPECT_EQ(must(scratch_.dir().list(".")), std::vector<std::string>{"from"});
}

class AttachSignatures : public SignImage {
 protected:
  void SetUp() override { bytes_ = build_bytes({}, nullptr); }
  SigningInput input() { return must(signing_input(must(test::open_bytes(bytes_)))); }
  static ForeignSignatures made_by(const test::Identity& signer, const SigningInput& input) {
    const SigningKey key = signer.signing_key();
    return {must(key.sign_detached(as_bytes(input.root_hash))), must(key.sign_attached(as_bytes(input.statement)))};
  }
  // Attaches; returns the verdict.
  std::string attach(const ForeignSignatures& signatures, const test::Identity& expected = test::publisher()) {
    TrustStore signer;
    must(signer.add_pem(expected.certificate_pem, "expected"));
    return verdict(attach_signatures(must(test::open_bytes(bytes_)), signatures, signer,
                                     {.path = scratch_ / "out.raw", .now = test::kNow}));
  }
  [[nodiscard]] bool nothing_written() const { return must(scratch_.dir().list(".")).empty(); }

  std::string bytes_;
};

TEST_F(AttachSignatures, ImageIsAsGoodAsOneSignedHere) {
  EXPECT_EQ(attach(made_by(test::publisher(), input())), "fine");
  const std::string out = test::read_whole(scratch_ / "out.raw");
  EXPECT_EQ(verdict(test::verify_bytes(out)), "fine");
  EXPECT_EQ(test::signature_of(out)["certificateFingerprint"], test::publisher().signing_key().fingerprint());
}

TEST_F(AttachSignatures, SignaturesOfAnotherImageAreRefused) {
  const SigningInput other = must(signing_input(must(test::open_bytes(build_bytes({.version = "2.0"}, nullptr)))));
  ForeignSignatures signatures = made_by(test::publisher(), other);
  EXPECT_EQ(attach(signatures), "untrusted/manifest-mismatch");
  signatures.statement = made_by(test::publisher(), input()).statement;
  EXPECT_EQ(attach(signatures), "untrusted/signature-invalid");
  EXPECT_TRUE(nothing_written());
}

TEST_F(AttachSignatures, SignaturesOfSomebodyElseAreRefused) {
  const ForeignSignatures ours = made_by(test::publisher(), input());
  const ForeignSignatures theirs = made_by(test::stranger(), input());
  EXPECT_EQ(attach(theirs), "untrusted/untrusted-signer");
  EXPECT_EQ(attach({ours.root_hash, theirs.statement}), "untrusted/untrusted-signer");
  EXPECT_EQ(attach({theirs.root_hash, ours.statement}), "untrusted/untrusted-signer");
  EXPECT_TRUE(nothing_written());
}

TEST_F(AttachSignatures, SignerThatNodesRefuseIsRefused) {
  const test::Identity server = test::make_identity({.extended_key_usage = "serverAuth"});
  EXPECT_EQ(attach(made_by(server, input()), server), "untrusted/untrusted-signer");
  const test::Identity expired = test::make_identity({.valid_until = test::kNow - 1});
  EXPECT_EQ(attach(made_by(expired, input()), expired), "untrusted/untrusted-signer");
  EXPECT_TRUE(nothing_written());
}

TEST_F(AttachSignatures, OtherFormsOfSignatureAreRefused) {
  const ForeignSignatures good = made_by(test::publisher(), input());
  const std::string root_hash = input().root_hash;
  const test::Identity& publisher = test::publisher();
  // With attributes; with the content inside; the two in each other's place; nothing; a statement with other line ends.
  EXPECT_EQ(attach({test::make_cms(root_hash, {.signers = {&publisher}, .content = test::Content::detached}),
                    good.statement}),
            "untrusted/signature-invalid");
  EXPECT_EQ(attach({must(publisher.signing_key().sign_attached(as_bytes(root_hash))), good.statement}),
            "untrusted/signature-invalid");
  EXPECT_EQ(attach({good.statement, good.root_hash}), "untrusted/signature-invalid");
  EXPECT_EQ(attach({{}, {}}), "untrusted/signature-invalid");
  std::string text = input().statement;
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2)) text.insert(at, "\r");
  EXPECT_EQ(attach({good.root_hash, must(publisher.signing_key().sign_attached(as_bytes(text)))}),
            "untrusted/manifest-mismatch");
  EXPECT_TRUE(nothing_written());
}

TEST_F(AttachSignatures, DamagedImageIsNeitherExportedNorSigned) {
  const ForeignSignatures good = made_by(test::publisher(), input());
  bytes_ = test::flipped(bytes_, test::partitions_of(bytes_)[0].offset);
  EXPECT_EQ(verdict(signing_input(must(test::open_bytes(bytes_)))), "untrusted/data-corrupt");
  EXPECT_EQ(attach(good), "untrusted/data-corrupt");
  EXPECT_TRUE(nothing_written());
}

TEST_F(SignImage, SignerThatNodesRefuseSignsNothing) {
  const test::Identity server = test::make_identity({.extended_key_usage = "serverAuth"});
  const ImageFile image = must(test::open_bytes(build_bytes({}, nullptr)));
  EXPECT_EQ(verdict(sign_image(image, server.signing_key(), {.path = scratch_ / "out.raw", .now = test::kNow})),
            "untrusted/untrusted-signer");
  EXPECT_TRUE(must(scratch_.dir().list(".")).empty());
}

}  // namespace
}  // namespace driverext
