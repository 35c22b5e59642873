// Every defect is refused, by the check and with the reason that the matrix says, and by no earlier one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "base/json.hpp"
#include "provisioner/attachment.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::Refusal;
using test::Stage;
using test::verdict;

constexpr const char* kDocument = "docs/refusals.md";

// The calls that a node makes, in their order. A stage is what one of them looks at.
enum class Call { load_trust, open, verify, check_tree, check_data };

Call call_of(Stage stage) {
  switch (stage) {
    case Stage::trust_files:
      return Call::load_trust;
    case Stage::container:
    case Stage::signature_partition:
      return Call::open;
    case Stage::tree:
      return Call::check_tree;
    case Stage::data:
      return Call::check_data;
    default:
      return Call::verify;
  }
}

struct Refused {
  Call by;
  Error error;
};

std::optional<Refused> first_refusal(const std::string& bytes, const TrustStore& anchors) {
  Result<ImageFile> file = test::open_bytes(bytes);
  if (!file) return Refused{Call::open, std::move(file).error()};
  Result<VerifiedImage> image = VerifiedImage::verify(*std::move(file), anchors, test::kNow);
  if (!image) return Refused{Call::verify, std::move(image).error()};
  if (auto tree = image->check_tree(); !tree) return Refused{Call::check_tree, std::move(tree).error()};
  if (auto data = image->check_all_data(); !data) return Refused{Call::check_data, std::move(data).error()};
  return std::nullopt;
}

Result<TrustStore> anchors_of(const Refusal& row) {
  TrustStore anchors;
  TRY_VOID(anchors.add_pem(test::anchors_pem(row), test::kAnchorsFile));
  for (const std::string& list : row.crls) TRY_VOID(anchors.add_crl(as_bytes(list), row.name));
  TRY(TrustPolicy policy, parse_trust_policy(row.policy, kTrustPolicyFile));
  anchors.add_policy(std::move(policy));
  return anchors;
}

std::optional<Refused> first_refusal(const Refusal& row) {
  const Result<TrustStore> anchors = anchors_of(row);
  if (!anchors) return Refused{Call::load_trust, anchors.error()};
  return first_refusal(row.bytes(), *anchors);
}

class Refusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refusals, AreRefusedWhereTheMatrixSays) {
  const Refusal& row = GetParam();
  const std::optional<Refused> refused = first_refusal(row);
  ASSERT_TRUE(refused.has_value()) << "it was let through";
  const std::string kind = row.stage == Stage::trust_files ? "invalid_input/" : "untrusted/";
  EXPECT_EQ(verdict(refused->error), kind + row.reason) << refused->error.message();
  EXPECT_EQ(refused->by, call_of(row.stage)) << refused->error.message();
  EXPECT_NE(refused->error.message().find(row.says), std::string::npos) << refused->error.message();
}

std::string test_name(const ::testing::TestParamInfo<Refusal>& row) {
  std::string name;
  for (const char c : row.param.name) name += c == '-' ? '_' : c;
  return name;
}
INSTANTIATE_TEST_SUITE_P(Matrix, Refusals, ::testing::ValuesIn(test::all_refusals()), test_name);

// The control: with nothing damaged, none of the calls refuses.
TEST(RefusalMatrix, GoodImagesPass) {
  for (const std::string& bytes : {test::sample_bytes(), test::kept_bytes({.padding = 700'000})}) {
    EXPECT_FALSE(first_refusal(bytes, test::publisher_only()).has_value());
  }
}

TEST(RefusalMatrix, NamesAreOnceEachAndReasonsAreKnown) {
  std::set<std::string> names;
  std::set<std::string_view> codes;
  for (const ReasonInfo& info : all_reasons()) codes.insert(info.code);
  for (const Refusal& row : test::all_refusals()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.name.starts_with("should-fail-")) << row.name;
    EXPECT_TRUE(codes.contains(row.reason)) << row.name;
  }
}

std::string document() {
  std::string text =
      "# What is refused\n"
      "\n"
      "Each row is an image with one defect, made at test time from a good one, that a node must refuse: by this "
      "check,\n"
      "not by a later one, and with this reason. Those refused by the policy have no defect but that the node's policy "
      "or\n"
      "revocation list speaks against them; those refused by the trust files come with a policy that is an error "
      "itself.\n"
      "Written by a test; `DRIVEREXT_WRITE_DOCS=1 "
      "build/dev/tests/test-refusals`\n"
      "writes it anew. What the reasons mean: [reasons.md](reasons.md).\n"
      "\n"
      "| defect | refused by the check of | reason |\n"
      "|---|---|---|\n";
  for (const Refusal& row : test::all_refusals()) {
    text += "| `" + row.name + "` | " + std::string(test::stage_name(row.stage)) + " | `" + row.reason + "` |\n";
  }
  return text;
}

TEST(RefusalMatrix, DocumentListsEveryRow) {
  const std::string path = std::string(DRIVEREXT_SOURCE_ROOT "/") + kDocument;
  if (std::getenv("DRIVEREXT_WRITE_DOCS") != nullptr) test::write_file(path, document());
  EXPECT_EQ(test::read_whole(path), document()) << "write it anew: DRIVEREXT_WRITE_DOCS=1";
}

// Between the check and the attaching lies time in which somebody may put another file in its place.
TEST(RefusalMatrix, FileThatTookThePlaceOfTheVerifiedOneIsNotWhatIsAttached) {
  const test::TempDir scratch;
  const std::string path = scratch / "image.raw";
  test::write_file(path, test::sample_bytes());
  ImageFile file = must(ImageFile::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path));
  const VerifiedImage image = must(VerifiedImage::verify(std::move(file), test::publisher_only(), test::kNow));

  test::write_file(scratch / "other.raw", test::build_bytes({.version = "2.0"}, &test::stranger()));
  ASSERT_EQ(std::rename((scratch / "other.raw").c_str(), path.c_str()), 0);

  const VerityRequest request = verity_request(image, "name");
  struct stat attached {};
  struct stat there {};
  ASSERT_EQ(::fstat(request.fd, &attached), 0);
  ASSERT_EQ(::stat(path.c_str(), &there), 0);
  EXPECT_NE(attached.st_ino, there.st_ino);
  Bytes bytes(test::sample_bytes().size());
  must(read_exactly(request.fd, bytes, 0, path));
  EXPECT_TRUE(as_text(bytes) == test::sample_bytes());
  EXPECT_EQ(verdict(image.check_all_data()), "fine");
  EXPECT_EQ(request.root_hash, test::signature_of(test::sample_bytes())["rootHash"].get<std::string>());
}

// The same file, written over: the tree is the signed one or the device refuses its blocks.
TEST(RefusalMatrix, FileThatIsWrittenOverAfterItWasVerifiedIsFoundByTheTree) {
  const test::TempDir scratch;
  const std::string path = scratch / "image.raw";
  test::write_file(path, test::sample_bytes());
  ImageFile file = must(ImageFile::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path));
  const VerifiedImage image = must(VerifiedImage::verify(std::move(file), test::publisher_only(), test::kNow));
  const UniqueFd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  must(write_exactly(writer.get(), as_bytes("x"), image.file().data().offset, path));
  EXPECT_EQ(verdict(image.check_all_data()), "untrusted/data-corrupt");
}

}  // namespace
}  // namespace driverext
