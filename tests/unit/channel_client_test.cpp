// The node's side, against a server that is not to be trusted.
#include "channel/client.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::entry_of;
using test::FakeServer;
using test::kNow;
using test::kSampleUrl;
using test::message;
using test::must;
using test::sample_bytes;
using test::sample_index;
using test::sample_release;
using test::verdict;

ChannelRelease release_of(const std::string& bytes) {
  ChannelRelease release = sample_release({{1, 0, 0}});
  release.version = "1.0";  // what the sample image's manifest says
  release.images = {entry_of(bytes)};
  return release;
}

// A node, and a channel with the sample image on a server.
class Channel : public testing::Test {
 protected:
  Channel() { serve(sample_index({release_of(sample_bytes())})); }

  void serve(const ChannelIndex& index) {
    server.put("index.cms", as_text(test::sign(index)));
    server.put(image_file(), sample_bytes());
  }
  static std::string image_file() { return entry_of(sample_bytes()).file(); }
  [[nodiscard]] ChannelAccess access() { return {server, kSampleUrl, anchors, kNow, ""}; }

  Result<ChannelCheck> check(const std::string& kernel = test::kSampleKernel) {
    ChannelWish wish;
    wish.driver = test::kSampleDriver;
    wish.kernel_release = kernel;
    wish.architecture = "x86-64";
    return check_channel(root.dir(), access(), wish, remarks);
  }

  Result<FetchedImage> fetch() { return fetch(Offer{"testcam", "1.0", {{1, 0, 0}}, entry_of(sample_bytes()), {}}); }
  Result<FetchedImage> fetch(const Offer& offer) {
    return fetch_image(root.dir(), access(), offer, [this](uint64_t done, uint64_t total) {
      EXPECT_LE(done, total);
      reported.push_back(done);
    });
  }

  // Files in the fetch folder: name and size.
  [[nodiscard]] std::string fetched() const {
    std::string text;
    for (const std::string& name : must(root.dir().list(kFetchFolder))) {
      text += (text.empty() ? "" : " ") + name.substr(64) + ":" +
              std::to_string(test::read_whole(root / (std::string(kFetchFolder) + "/" + name)).size());
    }
    return text;
  }
  static std::string whole() { return ".raw:" + std::to_string(sample_bytes().size()); }

  test::TempDir root;
  FakeServer server;
  TrustStore anchors = test::publisher_only();
  Remarks remarks;
  std::vector<uint64_t> reported;
};

TEST_F(Channel, CheckFindsTheImageAndRemembersTheIndex) {
  const ChannelCheck found = must(check());
  EXPECT_EQ(found.offer.image.root_hash, entry_of(sample_bytes()).root_hash);
  EXPECT_EQ(must(read_seen(root.dir())).seen.channels.at("stable").serial, 7U);
  EXPECT_TRUE(remarks.empty());
}

TEST_F(Channel, SecondCheckWritesNothing) {
  must(check());
  const auto before = test::listing(root.path());
  must(check());
  EXPECT_EQ(test::listing(root.path()), before);
}

TEST_F(Channel, IndexIsRememberedEvenIfItHoldsNothingForThisNode) {
  EXPECT_EQ(verdict(check("6.99")), "not_found/no-image-in-channel");
  EXPECT_EQ(must(read_seen(root.dir())).seen.channels.at("stable").serial, 7U);
}

TEST_F(Channel, OlderIndexIsRefusedAndNotRemembered) {
  must(check());
  ChannelIndex older = sample_index({release_of(sample_bytes())});
  older.serial = 6;
  serve(older);
  EXPECT_EQ(verdict(check()), "untrusted/index-rolled-back");
  EXPECT_EQ(must(read_seen(root.dir())).seen.channels.at("stable").serial, 7U);
}

TEST_F(Channel, LossOfMemoryIsTold) {
  test::write_file(root / kSeenFile, "damaged");
  must(check());
  ASSERT_EQ(remarks.size(), 1U);
  EXPECT_NE(remarks[0].find("lost"), std::string::npos) << remarks[0];
  remarks.clear();
  must(check());
  EXPECT_TRUE(remarks.empty());
}

TEST_F(Channel, WaitingReleaseIsARemark) {
  serve(sample_index({release_of(sample_bytes()), sample_release({{2, 0, 0}}, 0)}));
  must(check());
  ASSERT_EQ(remarks.size(), 1U);
  EXPECT_NE(remarks[0].find("release 2.0.0"), std::string::npos) << remarks[0];
}

TEST_F(Channel, IndexThatIsTooLargeIsNotReadToItsEnd) {
  server.put("index.cms", std::string(kMaxSignedIndex + 1, 'x'));
  EXPECT_EQ(verdict(check()), "untrusted/index-untrusted");
  EXPECT_FALSE(test::exists(root / kSeenFile));
}

TEST_F(Channel, IndexOfAnotherChannelIsRefusedIfTheNodeNamesItsOwn) {
  ChannelAccess named = access();
  named.channel = "beta";
  EXPECT_EQ(verdict(fetch_index(named)), "untrusted/index-untrusted");
  named.channel = "stable";
  EXPECT_EQ(verdict(fetch_index(named)), "fine");
}

TEST_F(Channel, ServerThatIsAwayIsTriedAgainLater) {
  server.files.clear();
  const auto result = check();
  EXPECT_EQ(verdict(result), "transient/channel-unreachable");
  EXPECT_NE(message(result).find("http://channel.test/stable/index.cms"), std::string::npos) << message(result);
}

TEST_F(Channel, TwoProcessesDoNotReadTheChannelAtOnce) {
  must(check());
  const UniqueFd other = must(root.dir().open_file(kFetchFolder, O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(check().error().code, Errc::transient);
  EXPECT_EQ(fetch().error().code, Errc::transient);
}

TEST_F(Channel, FetchedImageIsVerifiedAndReadyToBeMoved) {
  const FetchedImage image = must(fetch());
  EXPECT_EQ(image.name, std::string(kFetchFolder) + "/" + entry_of(sample_bytes()).root_hash + ".raw");
  EXPECT_EQ(image.image.manifest().driver, "testcam");
  EXPECT_EQ(fetched(), whole());
  EXPECT_EQ(test::read_whole(root / image.name), sample_bytes());
  EXPECT_EQ(must(root.dir().status(image.name))->st_mode & 07777U, 0644U);
  EXPECT_EQ(must(root.dir().status(kFetchFolder))->st_mode & 07777U, 0700U);
  EXPECT_EQ(reported.back(), sample_bytes().size());
}

TEST_F(Channel, CutDownloadIsResumedWhereItEnded) {
  server.cut_after = 5000;
  EXPECT_EQ(verdict(fetch()), "transient/channel-unreachable");
  EXPECT_EQ(fetched(), ".raw.part:5000");
  EXPECT_EQ(verdict(fetch()), "transient/channel-unreachable");
  EXPECT_EQ(fetched(), ".raw.part:10000");
  server.cut_after.reset();
  EXPECT_EQ(verdict(fetch()), "fine");
  EXPECT_EQ(fetched(), whole());
  ASSERT_EQ(server.requests.size(), 3U);
  EXPECT_TRUE(server.requests[2].ends_with(" 10000")) << server.requests[2];
}

TEST_F(Channel, ServerThatCannotResumeStartsOver) {
  server.cut_after = 5000;
  EXPECT_EQ(verdict(fetch()), "transient/channel-unreachable");
  server.cut_after.reset();
  server.can_resume = false;
  EXPECT_EQ(verdict(fetch()), "fine");
  EXPECT_EQ(test::read_whole(root / must(fetch()).name), sample_bytes());
}

TEST_F(Channel, ZerosThatAPowerCutLeftDoNotAccuseTheServer) {
  const std::string part = std::string(kFetchFolder) + "/" + entry_of(sample_bytes()).root_hash + ".raw.part";
  const uint64_t in_data = test::partitions_of(sample_bytes())[0].offset + 4096;
  test::write_file(root / part, sample_bytes().substr(0, in_data) + std::string(4096, '\0'));
  EXPECT_EQ(verdict(fetch()), "fine");
  EXPECT_EQ(fetched(), whole());
  EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(Channel, ImageThatIsThereIsReadAgainButNotFetched) {
  must(fetch());
  server.requests.clear();
  EXPECT_EQ(verdict(fetch()), "fine");
  EXPECT_TRUE(server.requests.empty());
  const std::string name = std::string(kFetchFolder) + "/" + entry_of(sample_bytes()).root_hash + ".raw";
  test::write_file(root / name, test::flipped(sample_bytes(), sample_bytes().size() / 2));
  EXPECT_EQ(verdict(fetch()), "fine");
  EXPECT_EQ(server.requests.size(), 1U);
  EXPECT_EQ(test::read_whole(root / name), sample_bytes());
}

TEST_F(Channel, OtherBytesAreRefusedAndRemoved) {
  for (const uint64_t offset : {uint64_t{0}, sample_bytes().size() / 2, sample_bytes().size() - 1}) {
    server.put(image_file(), test::flipped(sample_bytes(), offset));
    EXPECT_EQ(verdict(fetch()), "untrusted/data-corrupt") << offset;
    EXPECT_EQ(fetched(), "") << offset;
  }
  EXPECT_EQ(server.requests.size(), 3U);
}

TEST_F(Channel, MoreBytesThanPromisedAreRefusedAndRemoved) {
  server.put(image_file(), sample_bytes() + "x");
  EXPECT_EQ(verdict(fetch()), "untrusted/data-corrupt");
  EXPECT_EQ(fetched(), "");
}

TEST_F(Channel, FewerBytesThanPromisedAreWaitedFor) {
  server.put(image_file(), sample_bytes().substr(0, sample_bytes().size() - 1));
  EXPECT_EQ(verdict(fetch()), "transient/channel-unreachable");
  EXPECT_EQ(verdict(fetch()), "transient/channel-unreachable");
  server.put(image_file(), sample_bytes());
  EXPECT_EQ(verdict(fetch()), "fine");
}

TEST_F(Channel, CutDownloadOfAnotherImageIsCleanedUp) {
  test::write_file(root / (std::string(kFetchFolder) + "/" + std::string(64, 'a') + ".raw.part"), "old");
  must(fetch());
  EXPECT_EQ(fetched(), whole());
}

// The index's signature is good, the image's is not: one key does not speak for the other.
TEST_F(Channel, ImageSignedByAStrangerIsRefusedAndRemoved) {
  static const std::string bytes = test::build_bytes({.version = "9"}, &test::stranger());
  server.put(entry_of(bytes).file(), bytes);
  EXPECT_EQ(verdict(fetch({"testcam", "9", {{1, 0, 0}}, entry_of(bytes), {}})), "untrusted/untrusted-signer");
  EXPECT_EQ(fetched(), "");
}

TEST_F(Channel, ImageThatIsNotWhatTheIndexSaysIsRefusedAndRemoved) {
  const Offer right{"testcam", "1.0", {{1, 0, 0}}, entry_of(sample_bytes()), {}};
  const auto with = [&](const std::function<void(Offer&)>& edit) {
    Offer offer = right;
    edit(offer);
    server.put(offer.image.file(), sample_bytes());
    const std::string result = verdict(fetch(offer));
    EXPECT_EQ(fetched(), result == "fine" ? whole() : "");
    return result;
  };
  const std::string mismatch = "untrusted/manifest-mismatch";
  EXPECT_EQ(with([](Offer& o) { o.driver = "other"; }), mismatch);
  EXPECT_EQ(with([](Offer& o) { o.version = "2.0"; }), mismatch);
  EXPECT_EQ(with([](Offer& o) { o.image.kind = "complete"; }), mismatch);
  EXPECT_EQ(with([](Offer& o) { o.image.kernel_release = "6.99"; }), mismatch);
  EXPECT_EQ(with([](Offer& o) { o.image.architecture = "arm64"; }), mismatch);
  EXPECT_EQ(with([](Offer& o) { o.image.root_hash = std::string(64, 'a'); }), mismatch);
  EXPECT_EQ(with([](Offer&) {}), "fine");
}

TEST_F(Channel, PartThatIsALinkIsNotWrittenThrough) {
  const std::string part = std::string(kFetchFolder) + "/" + entry_of(sample_bytes()).root_hash + ".raw.part";
  test::write_file(root / "victim", "precious");
  must(root.dir().make_dirs(kFetchFolder, 0700));
  ASSERT_EQ(::symlink((root / "victim").c_str(), (root / part).c_str()), 0);
  EXPECT_NE(verdict(fetch()), "fine");
  EXPECT_EQ(test::read_whole(root / "victim"), "precious");
}

TEST(ChannelUrl, OnlyHttpAndHttpsWithoutSecrets) {
  for (const char* url : {"http://a", "https://a/", "https://a.test:8443/deep/er", "http://[::1]:80/x"}) {
    EXPECT_EQ(verdict(check_channel_url(url)), "fine") << url;
  }
  for (const char* url : {"", "a", "file:///etc/passwd", "ftp://a", "HTTP//a", "http://", "http:///x", "http://u:p@a/",
                          "http://a/?x", "http://a/#x", "http://a b", "http://a\n", "gopher://a", "http:a"}) {
    EXPECT_EQ(verdict(check_channel_url(url)), "invalid_input/config-invalid") << url;
  }
  EXPECT_EQ(url_of("http://a/b//", "index.cms"), "http://a/b/index.cms");
}

}  // namespace
}  // namespace driverext
