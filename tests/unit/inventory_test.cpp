#include "provisioner/inventory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "base/json.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::flipped;
using test::must;
using test::sample_bytes;
using test::verdict;

Inventory take(const FakeHost& host) { return must(take_inventory(host.root(), must(load_trust(host.root())), test::kNow)); }

std::map<std::string, std::string> rejected(const Inventory& inventory) {
  std::map<std::string, std::string> found;
  for (const RejectedImage& image : inventory.rejected) found[image.name] = verdict(image.error);
  return found;
}

TEST(Inventory, EmptyHostHasNone) {
  const FakeHost host;
  EXPECT_TRUE(take(host).images.empty());
  EXPECT_TRUE(take(host).rejected.empty());
}

TEST(Inventory, OneBadImageHidesNoOther) {
  const FakeHost host;
  host.drop("a-cut.raw", sample_bytes().substr(0, 5000));
  host.drop("b-good.raw", sample_bytes());
  host.drop("c-garbage.raw", "garbage");
  host.drop("d-stranger.raw", test::build_bytes({}, &test::stranger()));
  const Inventory inventory = take(host);
  ASSERT_EQ(inventory.images.size(), 1U);
  EXPECT_EQ(inventory.images[0].name, "var/lib/driverext/inbox/b-good.raw");
  EXPECT_EQ(rejected(inventory), (std::map<std::string, std::string>{
                                     {"var/lib/driverext/inbox/a-cut.raw", "untrusted/image-malformed"},
                                     {"var/lib/driverext/inbox/c-garbage.raw", "untrusted/image-malformed"},
                                     {"var/lib/driverext/inbox/d-stranger.raw", "untrusted/untrusted-signer"},
                                 }));
}

TEST(Inventory, OnlyRawFilesCount) {
  const FakeHost host;
  host.drop("notes.txt", "x");
  host.drop(".half-copied.raw", "x");
  EXPECT_TRUE(take(host).rejected.empty());
}

TEST(Inventory, FilesThatOthersCouldChangeAreUnsafe) {
  const FakeHost host;
  host.drop("group-writable.raw", sample_bytes(), 0664);
  host.drop("good.raw", sample_bytes());
  const std::string inbox = host.path(kInbox);
  ASSERT_EQ(::symlink("good.raw", (inbox + "/link.raw").c_str()), 0);
  ASSERT_EQ(::mkfifo((inbox + "/fifo.raw").c_str(), 0600), 0);  // must not be waited for
  ASSERT_EQ(::mkdir((inbox + "/folder.raw").c_str(), 0755), 0);
  const Inventory inventory = take(host);
  EXPECT_EQ(inventory.images.size(), 1U);
  const auto found = rejected(inventory);
  EXPECT_EQ(found.size(), 4U);
  for (const auto& [name, reason] : found) EXPECT_EQ(reason, "untrusted/unsafe-file") << name;
}

TEST(Inventory, StoreIsVerifiedToo) {
  const FakeHost host;
  const std::string folder = std::string(kStore) + "/x/";
  host.write(folder + "testcam.raw", sample_bytes());
  host.write(std::string(kStore) + "/y/testcam.raw", flipped(sample_bytes(), 512));
  host.write(std::string(kStore) + "/stray-file", "x");
  const Inventory inventory = take(host);
  ASSERT_EQ(inventory.images.size(), 1U);
  EXPECT_EQ(inventory.images[0].place, Place::store);
  EXPECT_EQ(rejected(inventory).size(), 1U);
}

TEST(Inventory, QuarantineIsLookedAtAnew) {
  const FakeHost host;
  host.write("var/lib/driverext/quarantine/bad.raw", "garbage");
  host.write("var/lib/driverext/quarantine/bad.raw.reason.json", "{}");
  host.write("var/lib/driverext/quarantine/good.raw", sample_bytes());  // the anchor was placed since
  const Inventory inventory = take(host);
  ASSERT_EQ(inventory.rejected.size(), 1U);
  EXPECT_EQ(inventory.rejected[0].place, Place::quarantine);
  EXPECT_EQ(verdict(inventory.rejected[0].error), "untrusted/image-malformed");
  ASSERT_EQ(inventory.images.size(), 1U);
  EXPECT_EQ(inventory.images[0].place, Place::quarantine);
}

TEST(Inventory, SecondCopyOfAStoredImageMustBeWhole) {
  const FakeHost host;
  const uint64_t data = test::partitions_of(sample_bytes())[0].offset;
  host.write(std::string(kStore) + "/x/testcam.raw", sample_bytes());
  host.drop("damaged.raw", flipped(sample_bytes(), data + 4096));
  host.drop("whole.raw", sample_bytes());
  const Inventory inventory = take(host);
  EXPECT_EQ(inventory.images.size(), 2U);
  EXPECT_EQ(rejected(inventory),
            (std::map<std::string, std::string>{{"var/lib/driverext/inbox/damaged.raw", "untrusted/data-corrupt"}}));
}

TEST(Inventory, DamagedCopyNeverStandsBesideAGoodOne) {
  const uint64_t data = test::partitions_of(sample_bytes())[0].offset;
  const std::string damaged = flipped(sample_bytes(), data + 4096);
  {
    const FakeHost host;  // the damaged one comes second
    host.drop("a.raw", sample_bytes());
    host.drop("b.raw", damaged);
    const Inventory inventory = take(host);
    EXPECT_EQ(inventory.images.size(), 1U);
    EXPECT_EQ(rejected(inventory),
              (std::map<std::string, std::string>{{"var/lib/driverext/inbox/b.raw", "untrusted/data-corrupt"}}));
  }
  {
    const FakeHost host;  // and first: then the other one is known to be whole
    host.drop("a.raw", damaged);
    host.drop("b.raw", sample_bytes());
    const Inventory inventory = take(host);
    ASSERT_EQ(inventory.images.size(), 2U);
    EXPECT_FALSE(inventory.images[0].whole);
    EXPECT_TRUE(inventory.images[1].whole);
  }
}

TEST(Inventory, DamagedFileDoesNotComeBackFromQuarantine) {
  const FakeHost host;
  const uint64_t data = test::partitions_of(sample_bytes())[0].offset;
  host.write("var/lib/driverext/quarantine/x.raw", flipped(sample_bytes(), data + 4096));
  const Inventory inventory = take(host);
  EXPECT_TRUE(inventory.images.empty());
  ASSERT_EQ(inventory.rejected.size(), 1U);
  EXPECT_EQ(verdict(inventory.rejected[0].error), "untrusted/data-corrupt");
}

TEST(Inventory, QuarantineNoteKeepsTheReasonAndTheWords) {
  const Error error = make_error(Errc::untrusted, Reason::untrusted_signer, "signed by \"nobody\"\nof note");
  const Json note = must(parse_json(quarantine_note(error)));
  EXPECT_EQ(note["reason"], "untrusted-signer");
  EXPECT_EQ(note["message"], error.message());
}

// File names are bytes, and so are the words of an error; the note is JSON all the same.
TEST(Inventory, NoteOfAnErrorThatIsNotUtf8IsWritten) {
  std::string note;
  EXPECT_NO_THROW(note = quarantine_note(make_error(Errc::untrusted, "image \xff\xfe.raw")));
  EXPECT_TRUE(parse_json(note));
}

TEST(Inventory, StoreNameIsMadeOfRootHashAndDriver) {
  const VerifiedImage image = must(test::verify_bytes(sample_bytes()));
  EXPECT_EQ(store_name(image), "var/lib/driverext/store/" + image.root_hash_hex() + "/testcam.raw");
}

}  // namespace
}  // namespace driverext
