// Damage to real bytes of a real image: each kind must be refused as untrusted, with its reason.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.hpp"
#include "crypto/digest.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::flipped;
using test::message;
using test::must;
using test::open_bytes;
using test::sample_bytes;
using test::verdict;
using test::verify_bytes;
using test::with_partitions;
using test::with_signature_edit;
using test::with_statement;

// Signatures, then tree, then every data block: all that can be checked without a kernel.
std::string full_check(const std::string& bytes) {
  const Result<VerifiedImage> image = verify_bytes(bytes);
  if (!image) return verdict(image);
  return verdict(image->check_all_data());
}

const std::vector<Partition>& partitions() {
  static const auto list = test::partitions_of(sample_bytes());
  return list;
}
const Partition& data() { return partitions()[0]; }
const Partition& tree() { return partitions()[1]; }

// The same image with one JSON member's text changed in its middle.
std::string member_damaged(const char* name) {
  return with_signature_edit(sample_bytes(), [&](OrderedJson& signature) {
    std::string text = signature[name];
    char& c = text[text.size() / 2];
    c = c == 'a' ? 'b' : 'a';
    signature[name] = text;
  });
}

// The same image with one byte of a CMS changed, counted from its end.
std::string cms_damaged(const char* name, size_t from_end) {
  return with_signature_edit(sample_bytes(), [&](OrderedJson& signature) {
    Bytes der = from_base64(signature[name].get<std::string>()).value();
    der[der.size() - 1 - from_end] ^= std::byte{1};
    signature[name] = to_base64(der);
  });
}

std::string root_hash_of(const std::string& bytes) { return test::signature_of(bytes)["rootHash"]; }

TEST(Image, UndamagedImageIsTrustedAndWhole) {
  EXPECT_EQ(full_check(sample_bytes()), "fine");
  const VerifiedImage image = must(verify_bytes(sample_bytes()));
  EXPECT_EQ(image.manifest_text(), format_manifest(test::sample_manifest()));
  EXPECT_EQ(image.manifest().driver, "testcam");
  EXPECT_EQ(image.signer().fingerprint, test::publisher().signing_key().fingerprint());
  EXPECT_EQ(image.root_hash_hex(), root_hash_of(sample_bytes()));
}

TEST(Image, UnsignedImageIsNeverVerified) {
  EXPECT_EQ(verdict(verify_bytes(build_bytes({}, nullptr))), "untrusted/unsigned-image");
}

TEST(Image, EmptiedSignaturePartitionIsAnUnsignedImage) {
  std::string bytes = sample_bytes();
  bytes.replace(partitions()[2].offset, partitions()[2].size, partitions()[2].size, '\0');
  EXPECT_EQ(verdict(verify_bytes(bytes)), "untrusted/unsigned-image");
}

TEST(Image, StrippedSignatureMemberIsAnUnsignedImage) {
  EXPECT_EQ(verdict(verify_bytes(
                with_signature_edit(sample_bytes(), [](OrderedJson& signature) { signature.erase("signature"); }))),
            "untrusted/unsigned-image");
}

TEST(Image, StrangersImageIsUntrusted) {
  EXPECT_EQ(verdict(verify_bytes(build_bytes({}, &test::stranger()))), "untrusted/untrusted-signer");
}

TEST(Image, NodeWithoutAnchorsTrustsNobody) {
  EXPECT_EQ(verdict(VerifiedImage::verify(must(open_bytes(sample_bytes())), TrustStore(), test::kNow)),
            "untrusted/no-trust-anchor");
}

TEST(Image, DamagedPartitionTableIsMalformed) {
  for (const uint64_t offset :
       {uint64_t{512}, uint64_t{512 + 88}, uint64_t{1024}, uint64_t{1024 + 32}, uint64_t{1024 + 128}}) {
    EXPECT_EQ(full_check(flipped(sample_bytes(), offset)), "untrusted/image-malformed") << offset;
  }
}

TEST(Image, EveryDamagedDataBlockIsDataCorrupt) {
  for (uint64_t block = 0; block < data().size / 4096; ++block) {
    EXPECT_EQ(full_check(flipped(sample_bytes(), data().offset + block * 4096 + 7)), "untrusted/data-corrupt") << block;
  }
}

TEST(Image, EveryDamagedTreeBlockIsTreeCorrupt) {
  for (uint64_t block = 1; block < tree().size / 4096; ++block) {
    EXPECT_EQ(full_check(flipped(sample_bytes(), tree().offset + block * 4096)), "untrusted/hash-tree-corrupt")
        << block;
  }
}

TEST(Image, DamagedSuperblockIsRefused) {
  for (const uint64_t offset : {0, 8, 12, 32, 40, 64, 68, 72, 79, 81, 82, 87, 120, 344, 511, 512, 4095}) {
    EXPECT_EQ(full_check(flipped(sample_bytes(), tree().offset + offset)), "untrusted/image-malformed") << offset;
  }
  for (const uint64_t offset : {80, 88, 88 + 31}) {  // another salt: no block hashes right any more
    EXPECT_EQ(full_check(flipped(sample_bytes(), tree().offset + offset)), "untrusted/hash-tree-corrupt") << offset;
  }
}

TEST(Image, DamagedSignatureJsonIsMalformed) {
  const uint64_t begin = partitions()[2].offset;
  for (const uint64_t offset : {begin, begin + 1, begin + partitions()[2].size - 1}) {
    EXPECT_EQ(full_check(flipped(sample_bytes(), offset)), "untrusted/image-malformed") << offset - begin;
  }
}

// The signature value itself is what a CMS ends with.
TEST(Image, DamagedRootHashSignatureIsInvalid) {
  EXPECT_EQ(full_check(cms_damaged("signature", 0)), "untrusted/signature-invalid");
}

TEST(Image, DamagedStatementIsInvalid) {
  EXPECT_EQ(full_check(cms_damaged("driverext", 0)), "untrusted/signature-invalid");
}

// Most bytes are covered by the signature. The embedded copy of the certificate is not, nor is it used: the node
// has its own, the trust anchor. So damage there may pass, but then signer and manifest are the true ones.
TEST(Image, DamageToASignatureNeverChangesWhatIsTrusted) {
  for (const char* name : {"signature", "driverext"}) {
    int refused = 0;
    for (size_t from_end = 0; from_end < 400; from_end += 3) {
      const Result<VerifiedImage> image = verify_bytes(cms_damaged(name, from_end));
      if (image) {
        EXPECT_EQ(image->manifest_text(), format_manifest(test::sample_manifest())) << name << from_end;
        EXPECT_EQ(image->signer().fingerprint, test::publisher().signing_key().fingerprint()) << name << from_end;
      } else {
        EXPECT_EQ(image.error().code, Errc::untrusted) << name << from_end;
        ++refused;
      }
    }
    EXPECT_GT(refused, 25) << name;  // 70 bytes are the signature value alone
  }
}

TEST(Image, AnotherRootHashIsNotTheOneThatWasSigned) {
  const std::string other = member_damaged("rootHash");
  EXPECT_EQ(full_check(other), "untrusted/image-malformed");  // the partitions' UUIDs say otherwise
  EXPECT_EQ(full_check(test::with_uuids_of(other, root_hash_of(other))), "untrusted/signature-invalid");
}

TEST(Image, AnotherFingerprintIsAMismatch) {
  EXPECT_EQ(full_check(member_damaged("certificateFingerprint")), "untrusted/manifest-mismatch");
}

TEST(Image, SignatureThatIsNotBase64IsMalformed) {
  EXPECT_EQ(full_check(with_signature_edit(sample_bytes(),
                                           [](OrderedJson& signature) {
                                             signature["signature"] =
                                                 "*" + signature["signature"].get<std::string>().substr(1);
                                           })),
            "untrusted/image-malformed");
}

TEST(Image, StatementOfAnotherImageOfTheSameSignerIsAMismatch) {
  const std::string other = build_bytes({.version = "2.0"}, &test::publisher());
  const OrderedJson theirs = test::signature_of(other);
  const std::string swapped = with_signature_edit(
      sample_bytes(), [&](OrderedJson& signature) { signature["driverext"] = theirs["driverext"]; });
  EXPECT_EQ(full_check(swapped), "untrusted/manifest-mismatch");
  // Root hash and its signature swapped too: then it is not this image's data any more.
  EXPECT_EQ(full_check(test::with_signature(test::with_uuids_of(sample_bytes(), theirs["rootHash"]), theirs)),
            "untrusted/hash-tree-corrupt");
}

TEST(Image, RootHashSignatureCannotStandInForTheStatement) {
  const auto twice = [](OrderedJson& signature) { signature["driverext"] = signature["signature"]; };
  EXPECT_EQ(full_check(with_signature_edit(sample_bytes(), twice)),
            "untrusted/signature-invalid");  // it holds no content
  const std::string hash = root_hash_of(sample_bytes());
  EXPECT_EQ(full_check(with_statement(sample_bytes(), hash, test::publisher())), "untrusted/manifest-mismatch");
}

TEST(Image, RootHashAndStatementBySignersWhoDifferAreAMismatch) {
  const test::Identity second = test::make_identity({.name = "second publisher"});
  TrustStore both = test::publisher_only();
  must(both.add_pem(second.certificate_pem, "second"));
  const OrderedJson theirs = test::signature_of(build_bytes({}, &second));
  const std::string mixed = with_signature_edit(
      sample_bytes(), [&](OrderedJson& signature) { signature["driverext"] = theirs["driverext"]; });
  EXPECT_EQ(verdict(VerifiedImage::verify(must(open_bytes(mixed)), both, test::kNow)), "untrusted/manifest-mismatch");
}

TEST(Image, ManifestOfAnotherArchitectureIsAMismatch) {
  Manifest manifest = test::sample_manifest();
  manifest.architecture = "arm64";
  const std::string statement = test::statement_about(sample_bytes(), format_manifest(manifest));
  EXPECT_EQ(full_check(with_statement(sample_bytes(), statement, test::publisher())), "untrusted/manifest-mismatch");
}

TEST(Image, ManifestThatCannotBeReadIsMalformedThoughSigned) {
  const std::string hash = root_hash_of(sample_bytes());
  for (const char* manifest : {"", "{}", "not json", "{\"format\": 2}"}) {
    const std::string statement = test::statement_about(sample_bytes(), manifest);
    EXPECT_EQ(full_check(with_statement(sample_bytes(), statement, test::publisher())), "untrusted/image-malformed")
        << manifest;
    // Who signed is judged first: a stranger's manifest is not worth a word.
    EXPECT_EQ(full_check(with_statement(sample_bytes(), statement, test::stranger())), "untrusted/untrusted-signer")
        << manifest;
  }
}

TEST(Image, ClockBehindTheImagesCreationIsMovedUpToIt) {
  constexpr int64_t kCreated = 1'700'000'000;
  const test::Identity brief = test::make_identity({.valid_from = kCreated - 10, .valid_until = kCreated + 10});
  TrustStore anchors;
  must(anchors.add_pem(brief.certificate_pem, "brief"));
  const std::string bytes = build_bytes({.created = kCreated}, &brief);
  const auto at = [&](int64_t now) { return verdict(VerifiedImage::verify(must(open_bytes(bytes)), anchors, now)); };
  EXPECT_EQ(at(0), "fine");  // a machine without a clock starts in 1970
  EXPECT_EQ(at(kCreated), "fine");
  EXPECT_EQ(at(kCreated + 11), "untrusted/untrusted-signer");  // and never back
}

TEST(Image, ImpossibleCreationTimeDoesNotTurnTheClockBack) {
  const test::Identity expired = test::make_identity({.valid_until = 1'000'000'000});
  TrustStore anchors;
  must(anchors.add_pem(expired.certificate_pem, "expired"));
  for (const uint64_t created : {uint64_t{0}, uint64_t{1} << 62, uint64_t{1} << 63, UINT64_MAX}) {
    Manifest manifest = test::sample_manifest();
    manifest.created = created;
    const std::string bytes =
        with_statement(sample_bytes(), test::statement_about(sample_bytes(), format_manifest(manifest)), expired);
    EXPECT_EQ(verdict(VerifiedImage::verify(must(open_bytes(bytes)), anchors, test::kNow)),
              "untrusted/untrusted-signer")
        << created;
  }
}

std::string with_types(std::initializer_list<const char*> types) {
  std::vector<Partition> list = partitions();
  size_t i = 0;
  for (const char* type : types) list[i++].type = guid_from_text(type);
  return with_partitions(sample_bytes(), list);
}

TEST(Image, UsrTypePartitionsAreRefused) {
  EXPECT_EQ(full_check(with_types({"8484680c-9521-48c6-9c11-b0720656f69e", "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
                                   "e7bb33fb-06cf-4e81-8273-e543b413e2e2"})),
            "untrusted/image-malformed");
  EXPECT_EQ(full_check(with_types({"0fc63daf-8483-4772-8e79-3d69d8477de4"})),
            "untrusted/image-malformed");  // generic Linux data
}

TEST(Image, PartitionsOfTwoArchitecturesAreRefused) {
  EXPECT_EQ(full_check(with_types({"b921b045-1df0-41c3-af44-4c6f280d3fae"})), "untrusted/image-malformed");
}

TEST(Image, MissingPartitionIsRefused) {
  for (size_t missing = 0; missing < 3; ++missing) {
    std::vector<Partition> list = partitions();
    list.erase(list.begin() + static_cast<ptrdiff_t>(missing));
    EXPECT_EQ(full_check(with_partitions(sample_bytes(), list)), "untrusted/image-malformed") << missing;
  }
}

TEST(Image, FourthPartitionIsRefused) {
  std::vector<Partition> list = partitions();
  Partition extra = list[2];
  list[2].size -= 4096;
  extra.offset += extra.size - 4096;
  extra.size = 4096;
  extra.type = guid_from_text("0fc63daf-8483-4772-8e79-3d69d8477de4");
  list.push_back(extra);
  EXPECT_EQ(full_check(with_partitions(sample_bytes(), list)), "untrusted/image-malformed");
}

TEST(Image, SecondRootPartitionIsRefused) {
  std::vector<Partition> list = partitions();
  list[1].type = list[0].type;
  EXPECT_EQ(full_check(with_partitions(sample_bytes(), list)), "untrusted/image-malformed");
}

TEST(Image, PartitionSizesMustAgreeWithTheSuperblock) {
  std::vector<Partition> shorter = partitions();
  shorter[0].size -= 4096;
  EXPECT_EQ(full_check(with_partitions(sample_bytes(), shorter)), "untrusted/image-malformed");
  std::vector<Partition> no_room = partitions();
  no_room[1].size = 4096;
  EXPECT_EQ(full_check(with_partitions(sample_bytes(), no_room)), "untrusted/image-malformed");
  std::vector<Partition> unaligned = partitions();
  unaligned[2].size -= 512;
  EXPECT_EQ(full_check(with_partitions(sample_bytes(), unaligned)), "untrusted/image-malformed");
}

TEST(Image, FileThatWasCutIsMalformed) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{17408}, size_t{1} << 20, sample_bytes().size() - 4096}) {
    EXPECT_EQ(full_check(sample_bytes().substr(0, size)), "untrusted/image-malformed") << size;
  }
}

TEST(Image, DirectoryAndDeviceAreNotImages) {
  for (const char* path : {"/", "/dev/null"}) {
    EXPECT_EQ(verdict(ImageFile::open(UniqueFd(::open(path, O_RDONLY | O_CLOEXEC)), path)),
              "untrusted/image-malformed");
  }
}

class FileRules : public ::testing::Test {
 protected:
  std::string check(const char* name) {
    const UniqueFd fd = must(scratch_.dir().open_file(name, O_RDONLY | O_NONBLOCK));
    return verdict(check_file_is_ours(fd.get(), name));
  }
  test::TempDir scratch_;
};

TEST_F(FileRules, OnlyTheOwnerMayWrite) {
  for (const mode_t mode : {0644, 0600, 0444, 0755}) {
    test::write_file(scratch_ / "image", "x", mode);
    EXPECT_EQ(check("image"), "fine") << mode;
  }
  for (const mode_t mode : {0664, 0646, 0666, 0620}) {
    test::write_file(scratch_ / "image", "x", mode);
    EXPECT_EQ(check("image"), "untrusted/unsafe-file") << mode;
  }
}

TEST_F(FileRules, ForeignOwnerIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  test::write_file(scratch_ / "image", "x");
  ASSERT_EQ(::chown((scratch_ / "image").c_str(), 1000, 0), 0);
  EXPECT_EQ(check("image"), "untrusted/unsafe-file");
}

TEST_F(FileRules, FileThatSomebodyIsWritingIsNotOurs) {
  test::write_file(scratch_ / "image", "x");
  {
    const UniqueFd writer = must(scratch_.dir().open_file("image", O_WRONLY));
    EXPECT_EQ(check("image"), "untrusted/unsafe-file");
  }
  EXPECT_EQ(check("image"), "fine");
}

// Every machine has these two, and neither keeps bytes.
TEST_F(FileRules, FileThatIsAnsweredByAProgramIsNotOurs) {
  if (::geteuid() != 0) GTEST_SKIP() << "not the owner of files in /proc and /sys";
  for (const char* path : {"/proc/version", "/sys/kernel/notes"}) {
    const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd) continue;
    EXPECT_EQ(verdict(check_file_is_ours(fd.get(), path)), "untrusted/unsafe-file") << path;
  }
}

TEST_F(FileRules, OnlyRegularFilesAreOurs) {
  ASSERT_EQ(::mkfifo((scratch_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(check("fifo"), "untrusted/unsafe-file");
  EXPECT_EQ(check("."), "untrusted/unsafe-file");
}

}  // namespace
}  // namespace driverext
