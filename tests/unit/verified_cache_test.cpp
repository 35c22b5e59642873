// The cache of verdicts: what it saves, and that it never lets an image be used that would not be verified now.
#include "provisioner/verified_cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/json.hpp"
#include "provisioner/survey.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::must;
using test::sample_bytes;

std::string root_hash() { return test::signature_of(sample_bytes())["rootHash"]; }
std::string stored() { return std::string(kStore) + "/" + root_hash() + "/testcam.raw"; }

class VerifiedCacheTest : public ::testing::Test {
 protected:
  VerifiedCacheTest() { host_.write(stored(), sample_bytes()); }

  // What a run that begins now finds, and how many images it had to open.
  Inventory take(const std::string& boot = test::kSampleBoot, int64_t now = test::kNow) {
    trust_.emplace(host_.root());
    VerifiedCache cache = VerifiedCache::read(host_.root(), boot);
    Inventory inventory = must(take_inventory(host_.root(), *trust_, now, cache));
    cache.write(host_.root());
    return inventory;
  }
  // True if the only image was recalled, not verified.
  bool is_recalled(const std::string& boot = test::kSampleBoot, int64_t now = test::kNow) {
    const Inventory inventory = take(boot, now);
    return inventory.images.size() == 1 && !inventory.images[0].is_open();
  }
  FakeHost host_;
  std::optional<LazyTrust> trust_;  // what an inventory opens its images under
};

TEST_F(VerifiedCacheTest, SecondRunOfABootVerifiesNothing) {
  EXPECT_FALSE(is_recalled());
  EXPECT_TRUE(is_recalled());
  const auto files = test::listing(host_.path(""));
  EXPECT_TRUE(is_recalled());
  EXPECT_EQ(test::listing(host_.path("")), files);  // and writes nothing
}

TEST_F(VerifiedCacheTest, RecalledImageIsWhatItWasAndCanBeOpened) {
  const ImageIdentity before = take().images[0].identity();
  const Inventory inventory = take();
  EXPECT_EQ(inventory.images[0].identity(), before);
  EXPECT_EQ(before.root_hash, root_hash());
  const VerifiedImage* image = must(inventory.images[0].open());
  EXPECT_EQ(image->root_hash_hex(), root_hash());
  EXPECT_EQ(must(inventory.images[0].manifest_text()), image->manifest_text());
}

TEST_F(VerifiedCacheTest, NothingIsBelievedInAnotherBoot) {
  take();
  EXPECT_FALSE(is_recalled("another boot"));
  EXPECT_FALSE(is_recalled(""));
}

TEST_F(VerifiedCacheTest, NothingIsBelievedUnderOtherTrustFiles) {
  for (const char* file : {"etc/driverext/trust/another.crt", "etc/driverext/trust/policy.toml"}) {
    take();
    EXPECT_TRUE(is_recalled());
    host_.write(file, file == std::string("etc/driverext/trust/policy.toml") ? "" : test::stranger().certificate_pem);
    EXPECT_FALSE(is_recalled()) << file;
  }
  take();
  must(host_.root().remove_file("etc/driverext/trust/publisher.crt"));
  EXPECT_EQ(take().rejected.size(), 1U);
}

TEST_F(VerifiedCacheTest, TrustFileThatIsALinkIsNeverBelievedToBeTheSame) {
  host_.write("srv/publisher.pem", test::publisher().certificate_pem);
  ASSERT_EQ(::symlink("../../../srv/publisher.pem", host_.path("etc/driverext/trust/link.crt").c_str()), 0);
  take();
  EXPECT_FALSE(is_recalled());
}

TEST_F(VerifiedCacheTest, FileThatWasTouchedIsVerifiedAgain) {
  take();
  const std::string path = host_.path(stored());
  struct stat before {};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  // Other content, and every time that can be set is set back.
  std::string bytes = sample_bytes();
  bytes[0] = static_cast<char>(bytes[0] ^ 1);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), 1, 0), 1);
  const std::array<timespec, 2> times = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::futimens(fd.get(), times.data()), 0);
  EXPECT_EQ(take().rejected.size(), 1U);
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  EXPECT_EQ(take().rejected.size(), 1U);
}

TEST_F(VerifiedCacheTest, AnotherFileInTheFolderIsSeen) {
  take();
  host_.write(std::string(kStore) + "/" + root_hash() + "/bad.raw", "garbage");
  const Inventory inventory = take();
  EXPECT_EQ(inventory.rejected.size(), 1U);
  EXPECT_EQ(take().rejected.size(), 1U);  // what was refused is refused each time
}

TEST_F(VerifiedCacheTest, FolderThatIsGoneIsForgotten) {
  take();
  must(host_.root().remove_file(stored()));
  EXPECT_TRUE(take().images.empty());
  EXPECT_EQ(test::read_whole(host_.path(kVerifiedFile)).find(root_hash()), std::string::npos);
}

TEST_F(VerifiedCacheTest, VerdictLastsADayAndNoLongerThanTheCertificate) {
  take();
  EXPECT_TRUE(is_recalled(test::kSampleBoot, test::kNow + 3600));
  EXPECT_FALSE(is_recalled(test::kSampleBoot, test::kNow + 2 * 24 * 3600));
  take();
  EXPECT_FALSE(is_recalled(test::kSampleBoot, test::kNow - 1));  // the clock was set back
  VerifiedEntry entry;
  entry.verified_at = 100;
  ImageIdentity identity;
  identity.signer_valid_until = 150;
  entry.identity = std::make_shared<const ImageIdentity>(identity);
  EXPECT_TRUE(entry.holds_at(149));
  EXPECT_FALSE(entry.holds_at(150));
}

TEST_F(VerifiedCacheTest, DamagedCacheIsNoCache) {
  take();
  const std::string good = test::read_whole(host_.path(kVerifiedFile));
  const std::string head = good.substr(0, good.find('\n'));
  EXPECT_TRUE(VerifiedCache::parse(good, head));
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(VerifiedCache::parse(good.substr(0, size), head));
  std::string fewer_fields = good;
  fewer_fields.erase(fewer_fields.rfind('\t'), 1);
  EXPECT_FALSE(VerifiedCache::parse(fewer_fields, head));
  EXPECT_FALSE(VerifiedCache::parse(good, head + "x"));
  host_.write(kVerifiedFile, fewer_fields, 0600);
  EXPECT_FALSE(is_recalled());
}

TEST_F(VerifiedCacheTest, CacheThatOthersCouldWriteIsNoCache) {
  take();
  ASSERT_EQ(::chmod(host_.path(kVerifiedFile).c_str(), 0644), 0);
  EXPECT_FALSE(is_recalled());
}

// Whoever exchanges the file between looking and opening gets nothing: what is opened is verified.
TEST_F(VerifiedCacheTest, ImageThatWasExchangedAfterItWasRecalledIsNotOpened) {
  take();
  const Inventory inventory = take();
  must(host_.root().remove_file(stored()));
  host_.write(stored(), test::build_bytes({}, &test::stranger()));
  EXPECT_FALSE(inventory.images[0].open());
  must(host_.root().remove_file(stored()));
  host_.write(stored(), test::build_bytes({.version = "2.0"}, &test::publisher()));  // a good one, and another
  EXPECT_EQ(test::verdict(inventory.images[0].open()), "conflict");
}

}  // namespace
}  // namespace driverext
