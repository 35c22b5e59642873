#include "sysext/image_builder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::message;
using test::must;
using test::sample_bytes;
using test::sample_request;
using test::TempDir;
using test::verdict;

ImageFile open_image(const TempDir& folder, const std::string& name) {
  return must(ImageFile::open(must(folder.dir().open_file(name, O_RDONLY)), name));
}

TEST(ImageBuilder, SameInputGivesTheSameBytesInAnotherDirectory) {
  EXPECT_TRUE(build_bytes({}, nullptr) == build_bytes({}, nullptr));
}

TEST(ImageBuilder, UmaskAndTimeZoneMakeNoDifference) {
  const std::string usual = build_bytes({}, nullptr);
  const char* zone = ::getenv("TZ");
  const std::string zone_before = zone != nullptr ? zone : "";
  ::setenv("TZ", "Pacific/Kiritimati", 1);
  const mode_t umask_before = ::umask(0077);
  const std::string strict = build_bytes({}, nullptr);
  ::umask(umask_before);
  zone != nullptr ? ::setenv("TZ", zone_before.c_str(), 1) : ::unsetenv("TZ");
  EXPECT_TRUE(usual == strict);
}

TEST(ImageBuilder, SourceFilesModeAndTimeMakeNoDifference) {
  const TempDir scratch;
  const auto build = [&](mode_t mode, const char* name) {
    BuildRequest request = sample_request(scratch / name);
    for (ImageContent& content : request.files) {
      content.source = scratch / (std::string(name) + ".src/" + std::to_string(content.text.size()));
      test::write_file(content.source, content.text, mode);
      const timespec times[2] = {{static_cast<time_t>(mode), 0}, {static_cast<time_t>(mode), 0}};
      ::utimensat(AT_FDCWD, content.source.c_str(), times, 0);
    }
    must(build_image(request));
    return test::read_whole(request.output);
  };
  EXPECT_TRUE(build(0600, "a") == build(04755, "b"));
}

TEST(ImageBuilder, OtherContentGivesAnotherRootHash) {
  const std::string a = build_bytes({}, nullptr);
  const std::string b = build_bytes({.created = 1'700'000'001}, nullptr);
  EXPECT_NE(test::signature_of(a)["rootHash"], test::signature_of(b)["rootHash"]);
}

TEST(ImageBuilder, NothingButTheImageIsLeftBehind) {
  const TempDir scratch;
  must(build_image(sample_request(scratch / "image.raw")));
  EXPECT_EQ(must(scratch.dir().list(".")), std::vector<std::string>{"image.raw"});
}

TEST(ImageBuilder, FailedBuildLeavesTheOldImage) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", "old");
  BuildRequest missing = sample_request(scratch / "image.raw");
  missing.files.push_back({scratch / "no-such-file", "usr/lib/x", ""});
  EXPECT_EQ(verdict(build_image(missing)), "not_found");
  BuildRequest outside = sample_request(scratch / "image.raw");
  outside.files.push_back({"", "../outside", "x"});
  EXPECT_EQ(verdict(build_image(outside)), "invalid_input");
  BuildRequest unpackable = sample_request(scratch / "image.raw");
  unpackable.zstd_level = 99;
  EXPECT_EQ(verdict(build_image(unpackable)), "system");
  BuildRequest unknown = sample_request(scratch / "image.raw", {.architecture = "m68k"});
  EXPECT_EQ(verdict(build_image(unknown)), "invalid_input");
  EXPECT_EQ(must(scratch.dir().list(".")), std::vector<std::string>{"image.raw"});
  EXPECT_EQ(test::read_whole(scratch / "image.raw"), "old");
}

// The oracle is squashfs-tools.
TEST(ImageBuilder, UnsquashfsFindsManifestReleaseFileAndModulesOwnedByRoot) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", sample_bytes());
  const ByteRange data = open_image(scratch, "image.raw").data();
  test::write_file(scratch / "squashfs", sample_bytes().substr(data.offset, data.size));
  must(run_program({"unsquashfs", "-no-progress", "-dest", scratch / "tree", scratch / "squashfs"}));
  EXPECT_EQ(test::read_whole(scratch / "tree/usr/lib/driverext/manifest.json"),
            format_manifest(test::sample_manifest()));
  EXPECT_EQ(test::read_whole(scratch / "tree/usr/lib/extension-release.d/extension-release.testcam"),
            "ID=debian\nVERSION_ID=12\nARCHITECTURE=x86-64\n");
  for (const auto& [path, text] : test::sample_files())
    EXPECT_TRUE(test::read_whole(scratch / ("tree/" + path)) == text) << path;
  const std::string list = must(run_program({"unsquashfs", "-lln", scratch / "squashfs"}));
  EXPECT_EQ(list.find(" 0/1"), std::string::npos) << list;
  EXPECT_EQ(list.find("modules."), std::string::npos) << "an index in an extension masks the host's";
  EXPECT_NE(list.find("drwxr-xr-x 0/0"), std::string::npos) << list;
}

// The oracle is cryptsetup.
TEST(ImageBuilder, VeritysetupVerifiesTheImageInPlace) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", sample_bytes());
  const ImageFile image = open_image(scratch, "image.raw");
  const std::string file = scratch / "image.raw";
  test::write_file(scratch / "data", sample_bytes().substr(image.data().offset, image.data().size));
  const auto result =
      run_program({"veritysetup", "verify", scratch / "data", file,
                   "--hash-offset=" + std::to_string(image.hash().offset), to_hex(image.signature_block().root_hash)});
  if (!result && result.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup on this machine";
  EXPECT_EQ(message(result), "fine");
}

TEST(ImageBuilder, PartitionsFollowTheDiscoverablePartitionsSpecification) {
  const auto partitions = test::partitions_of(sample_bytes());
  ASSERT_EQ(partitions.size(), 3U);
  const Architecture& x86 = *find_architecture("x86-64");
  EXPECT_EQ(guid_to_text(partitions[0].type), x86.root);
  EXPECT_EQ(guid_to_text(partitions[1].type), x86.root_verity);
  EXPECT_EQ(guid_to_text(partitions[2].type), x86.root_verity_signature);
  std::string ids = guid_to_text(partitions[0].uuid) + guid_to_text(partitions[1].uuid);
  std::erase(ids, '-');
  EXPECT_EQ(ids, test::signature_of(sample_bytes())["rootHash"].get<std::string>());
  for (const Partition& partition : partitions) {
    EXPECT_EQ(partition.attributes, kPartitionReadOnly);
    EXPECT_EQ(partition.offset % 4096, 0U);
    EXPECT_EQ(partition.size % 4096, 0U);
  }
}

TEST(ImageBuilder, Arm64ImagesHaveTheirOwnPartitionTypes) {
  const std::string bytes = build_bytes({.architecture = "arm64"}, &test::publisher());
  EXPECT_EQ(guid_to_text(test::partitions_of(bytes)[0].type), find_architecture("arm64")->root);
  EXPECT_EQ(verdict(test::verify_bytes(bytes)), "fine");
}

class SignImage : public ::testing::Test {
 protected:
  // Signs the bytes; returns the result's bytes, or the verdict.
  std::string sign(const std::string& bytes) {
    test::write_file(scratch_ / "in.raw", bytes);
    const SigningKey key = test::publisher().signing_key();
    const auto built = sign_image(open_image(scratch_, "in.raw"), key, scratch_ / "out.raw");
    return built ? test::read_whole(scratch_ / "out.raw") : verdict(built);
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

TEST(ImageBuilder, ManifestCanBeReadBeforeAndAfterSigning) {
  for (const test::Identity* signer : {static_cast<const test::Identity*>(nullptr), &test::publisher()}) {
    EXPECT_EQ(must(unverified_manifest_text(must(test::open_bytes(build_bytes({}, signer))))),
              format_manifest(test::sample_manifest()));
  }
}

}  // namespace
}  // namespace driverext
