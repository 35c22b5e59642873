#include "provisioner/inventory.hpp"

#include <fcntl.h>
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

Inventory take(const FakeHost& host) {
  LazyTrust trust(host.root());
  return must(take_inventory(host.root(), trust, test::kNow));
}

VerifiedImage verified(const FakeHost& host, const std::string& name) {
  ImageFile file = must(ImageFile::open(must(host.root().open_no_follow(name, O_RDONLY)), name));
  return must(VerifiedImage::verify(std::move(file), test::publisher_only(), test::kNow));
}

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
  EXPECT_EQ(store_name(identity_of(image)), "var/lib/driverext/store/" + image.root_hash_hex() + "/testcam.raw");
}

// The node's own key: what it built itself counts where it put it, and nowhere else.

const test::Identity& node() {
  static const test::Identity identity = [] {
    const SigningKey::Pem pem = must(SigningKey::generate("driverext node key"));
    return test::Identity{pem.key, pem.certificate};
  }();
  return identity;
}

const std::string& built_bytes(Kind kind = Kind::modules) {
  static std::map<Kind, std::string> built;
  std::string& bytes = built[kind];
  if (bytes.empty()) bytes = test::build_bytes({.version = "built", .kind = kind}, &node());
  return bytes;
}

class NodeKey : public ::testing::Test {
 protected:
  NodeKey() {
    host_.write(std::string(kNodeKeys) + "/node.crt", node().certificate_pem);
    host_.write(std::string(kNodeKeys) + "/node.key", node().key_pem, 0600);
  }
  // The verdict over the only file there is.
  std::string outcome() {
    const Inventory inventory = take(host_);
    EXPECT_EQ(inventory.images.size() + inventory.rejected.size(), 1U);
    if (!inventory.rejected.empty()) return verdict(inventory.rejected[0].error);
    return std::string(origin_name(inventory.images[0].origin));
  }
  FakeHost host_;
};

TEST_F(NodeKey, ItsImageInTheStoreIsBuilt) {
  host_.write(std::string(kStore) + "/x/testcam.raw", built_bytes());
  EXPECT_EQ(outcome(), "built");
}

TEST_F(NodeKey, ItsImageInTheInboxIsUntrusted) {
  host_.drop("testcam.raw", built_bytes());
  EXPECT_EQ(outcome(), "untrusted/untrusted-signer");
}

TEST_F(NodeKey, ItsImageInQuarantineIsUntrusted) {
  host_.write(std::string(kQuarantine) + "/testcam.raw", built_bytes());
  EXPECT_EQ(outcome(), "untrusted/untrusted-signer");
}

// It builds modules, never programs that run as root on the host.
TEST_F(NodeKey, CountsForModulesOnly) {
  for (const Kind kind : {Kind::complete, Kind::source}) {
    host_.write(std::string(kStore) + "/x/testcam.raw", built_bytes(kind));
    EXPECT_EQ(outcome(), "untrusted/untrusted-signer") << kind_name(kind);
  }
}

TEST_F(NodeKey, BuilderSignedByItIsUntrusted) {
  test::SampleOptions options = test::sample_builder();
  host_.write(std::string(kStore) + "/x/builder.raw", test::build_bytes(options, &node()));
  EXPECT_EQ(outcome(), "untrusted/untrusted-signer");
}

TEST_F(NodeKey, IsNoPublisher) {
  host_.write(std::string(kStore) + "/x/testcam.raw", sample_bytes());
  EXPECT_EQ(outcome(), "local");
  must(host_.root().remove_file("etc/driverext/trust/publisher.crt"));
  EXPECT_NE(outcome(), "built");
}

TEST_F(NodeKey, OfAnotherNodeCountsForNothing) {
  const SigningKey::Pem other = must(SigningKey::generate("driverext node key"));
  host_.write(std::string(kNodeKeys) + "/node.crt", other.certificate);
  host_.write(std::string(kStore) + "/x/testcam.raw", built_bytes());
  EXPECT_EQ(outcome(), "untrusted/untrusted-signer");
}

TEST_F(NodeKey, DamagedImageThatItSignedIsRefused) {
  const uint64_t signature = test::partitions_of(built_bytes())[2].offset;
  host_.write(std::string(kStore) + "/x/testcam.raw", flipped(built_bytes(), signature + 40));
  EXPECT_TRUE(outcome().starts_with("untrusted/")) << outcome();
}

TEST(Inventory, OriginIsNotedBesideTheImageForPeople) {
  const FakeHost host;
  const std::string name = host.drop("x.raw", sample_bytes());
  const VerifiedImage image = verified(host, name);
  must(move_to_store(host.root(), name, image, Origin::channel));
  ASSERT_EQ(take(host).images.size(), 1U);
  EXPECT_EQ(take(host).images[0].origin, Origin::channel);
  // Whatever it says, it decides nothing: only the node's key makes an image a built one.
  host.write(store_folder(identity_of(image)) + "/origin", "built\n");
  EXPECT_EQ(take(host).images[0].origin, Origin::local);
  host.write(store_folder(identity_of(image)) + "/origin", std::string(100'000, 'x'));
  EXPECT_EQ(take(host).images[0].origin, Origin::local);
}

TEST(Inventory, ImageThatIsDroppedAgainIsNoLongerTheChannels) {
  const FakeHost host;
  for (const Origin origin : {Origin::channel, Origin::local}) {
    const std::string name = host.drop("x.raw", sample_bytes());
    must(move_to_store(host.root(), name, verified(host, name), origin));
    EXPECT_EQ(take(host).images[0].origin, origin);
  }
}

TEST(Inventory, FileThatTookTheVerifiedOnesNameIsNotStored) {
  const FakeHost host;
  const std::string name = host.drop("x.raw", sample_bytes());
  const VerifiedImage image = verified(host, name);
  must(host.root().rename(name, std::string(kInbox) + "/elsewhere.raw"));
  EXPECT_EQ(verdict(move_to_store(host.root(), name, image, Origin::local)), "conflict");
  host.drop("x.raw", sample_bytes());
  EXPECT_EQ(verdict(move_to_store(host.root(), name, image, Origin::local)), "conflict");
  EXPECT_TRUE(must(host.root().status(name)));
  EXPECT_FALSE(must(host.root().status(store_name(identity_of(image)))));
}

}  // namespace
}  // namespace driverext
