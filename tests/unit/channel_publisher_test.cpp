#include "channel/publisher.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "channel/select.hpp"
#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::kDay;
using test::kNow;
using test::message;
using test::must;
using test::publisher;
using test::sample_bytes;
using test::verdict;

const std::string& next_version() {
  static const std::string bytes = build_bytes({.version = "2.0"}, &publisher());
  return bytes;
}
const std::string& other_kernel() {
  static const std::string bytes = build_bytes({.kernel_release = "6.13.0-test"}, &publisher());
  return bytes;
}

class Publisher : public testing::Test {
 protected:
  Publisher() { must(init_channel(channel.dir(), "stable", terms())); }

  [[nodiscard]] PublishTerms terms() const { return {key, anchors, now, 30 * kDay}; }

  Result<Published> publish(const std::vector<std::string>& images, std::optional<ReleaseNumber> release = {},
                            std::optional<unsigned> percent = {}) {
    PublishRequest request;
    request.release = release;
    request.percent = percent;
    for (const std::string& bytes : images) {
      const std::string name = "image" + std::to_string(request.images.size());
      test::write_file(scratch / name, bytes);
      request.images.push_back({must(scratch.dir().open_file(name, O_RDONLY)), name});
    }
    return publish_images(channel.dir(), request, terms());
  }

  // As a node reads it.
  [[nodiscard]] VerifiedIndex index() const {
    return must(VerifiedIndex::verify(as_bytes(test::read_whole(channel / kIndexFile)), anchors, now));
  }

  // Fails, and leaves everything as it was.
  void expect_refused(const std::function<std::string()>& attempt, const std::string& with) {
    const auto before = test::listing(channel.path());
    EXPECT_EQ(attempt(), with);
    EXPECT_EQ(test::listing(channel.path()), before);
  }

  test::TempDir channel;
  test::TempDir scratch;
  SigningKey key = publisher().signing_key();
  TrustStore anchors = test::publisher_only();
  int64_t now = kNow;
};

TEST_F(Publisher, NewChannelIsEmptyAndSigned) {
  EXPECT_EQ(index().index().channel, "stable");
  EXPECT_EQ(index().index().serial, 1U);
  EXPECT_EQ(index().index().expires, kNow + 30 * kDay);
  EXPECT_TRUE(index().index().releases.empty());
}

TEST_F(Publisher, ChannelIsMadeOnlyOnce) {
  expect_refused([&] { return verdict(init_channel(channel.dir(), "stable", terms())); }, "conflict");
  EXPECT_EQ(verdict(init_channel(scratch.dir(), "../x", terms())), "invalid_input");
}

TEST_F(Publisher, PublishedImageIsWhatANodeTakes) {
  const Published made = must(publish({sample_bytes()}));
  EXPECT_EQ(made.release.text(), "1.0.0");
  ChannelWish wish;
  wish.driver = "testcam";
  wish.kernel_release = test::kSampleKernel;
  wish.architecture = "x86-64";
  const Offer offer = must(select_image(index(), wish));
  EXPECT_EQ(offer.version, "1.0");
  EXPECT_EQ(offer.image, test::entry_of(sample_bytes()));
  EXPECT_EQ(test::read_whole(channel / offer.image.file()), sample_bytes());
  EXPECT_EQ(index().index().serial, 2U);
}

TEST_F(Publisher, NextReleaseIsNumberedByItself) {
  must(publish({sample_bytes()}));
  EXPECT_EQ(must(publish({next_version()})).release.text(), "1.0.1");
  EXPECT_EQ(index().index().serial, 3U);
}

TEST_F(Publisher, ReleaseGainsAnImageForAnotherKernel) {
  must(publish({sample_bytes()}, {}, 10));
  must(publish({other_kernel()}, ReleaseNumber{{1, 0, 0}}));
  const VerifiedIndex published = index();
  const ChannelRelease& release = *published.index().newest("testcam");
  EXPECT_EQ(release.images.size(), 2U);
  EXPECT_EQ(release.percent, 10U);
}

TEST_F(Publisher, SameImageOnceMoreOnlyRenewsTheIndex) {
  must(publish({sample_bytes()}));
  now += 20 * kDay;
  must(publish({sample_bytes()}, ReleaseNumber{{1, 0, 0}}));
  EXPECT_EQ(index().index().releases.size(), 1U);
  EXPECT_EQ(index().index().expires, now + 30 * kDay);
}

TEST_F(Publisher, ReleaseIsNeverChangedUnderneathItsNodes) {
  must(publish({sample_bytes()}));
  const ReleaseNumber one{{1, 0, 0}};
  expect_refused([&] { return verdict(publish({next_version()}, one)); }, "conflict");
  const std::string rebuilt = build_bytes({.padding = 50'000}, &publisher());
  expect_refused([&] { return verdict(publish({rebuilt}, one)); }, "conflict");
  expect_refused([&] { return verdict(publish({other_kernel()}, one, 50)); }, "conflict");
}

TEST_F(Publisher, ImagesOfOneReleaseAreOfOneVersion) {
  expect_refused([&] { return verdict(publish({sample_bytes(), next_version()})); }, "conflict");
  EXPECT_EQ(must(publish({sample_bytes(), other_kernel()})).index.newest("testcam")->images.size(), 2U);
}

TEST_F(Publisher, ImageThatDoesNotVerifyIsNotPublished) {
  expect_refused([&] { return verdict(publish({build_bytes({}, &test::stranger())})); }, "untrusted/untrusted-signer");
  expect_refused([&] { return verdict(publish({build_bytes({}, nullptr)})); }, "untrusted/unsigned-image");
  expect_refused([&] { return verdict(publish({"no image"})); }, "untrusted/image-malformed");
  const uint64_t in_data = test::partitions_of(sample_bytes())[0].offset + 5000;
  expect_refused([&] { return verdict(publish({test::flipped(sample_bytes(), in_data)})); }, "untrusted/data-corrupt");
  // The good one before the bad one is not left behind.
  expect_refused([&] { return verdict(publish({next_version(), "no image"})); }, "untrusted/image-malformed");
  expect_refused([&] { return verdict(publish({})); }, "invalid_input");
}

TEST_F(Publisher, FailureAfterTheImagesAreInPlaceTakesThemBack) {
  // An index that nodes would refuse is not put in place: here, one by a certificate that has expired.
  now = 5'000'000'000;
  expect_refused([&] { return verdict(publish({sample_bytes()})); }, "untrusted/index-untrusted");
  now = kNow;
  PublishTerms expired = terms();
  expired.lifetime = 0;
  PublishRequest request;
  test::write_file(scratch / "image", sample_bytes());
  request.images.push_back({must(scratch.dir().open_file("image", O_RDONLY)), "image"});
  expect_refused([&] { return verdict(publish_images(channel.dir(), request, expired)); }, "untrusted/index-untrusted");
}

TEST_F(Publisher, LeftoversOfAKilledPublisherAreRemoved) {
  test::write_file(channel / "images/.new-0", "half of an image");
  must(publish({sample_bytes()}));
  EXPECT_EQ(must(channel.dir().list("images")).size(), 1U);
}

// Whoever can write to the directory gets no signature for it.
TEST_F(Publisher, IndexOfAStrangerIsNotSignedAnew) {
  ChannelIndex forged = index().index();
  forged.releases.push_back(test::sample_release({{9, 0, 0}}));
  test::write_file(channel / kIndexFile, as_text(test::sign(forged, test::stranger())));
  expect_refused([&] { return verdict(publish({sample_bytes()})); }, "untrusted/index-untrusted");
  expect_refused(
      [&] {
        return verdict(set_rollout(channel.dir(), {"", {}, 5}, terms()));
      },
      "untrusted/index-untrusted");
}

TEST_F(Publisher, AnotherKeyTakesOverWithTheOldCertificate) {
  must(publish({sample_bytes()}));
  const SigningKey new_key = test::stranger().signing_key();
  TrustStore only_new;
  must(only_new.add_pem(test::stranger().certificate_pem, "new"));
  EXPECT_EQ(verdict(set_rollout(channel.dir(), {"", {}, 5}, {new_key, only_new, now, kDay})),
            "untrusted/index-untrusted");
  must(anchors.add_pem(test::stranger().certificate_pem, "new"));
  must(set_rollout(channel.dir(), {"", {}, 5}, {new_key, anchors, now, kDay}));
  EXPECT_EQ(index().signer().fingerprint, new_key.fingerprint());
}

TEST_F(Publisher, ExpiredIndexIsMadeValidAgain) {
  must(publish({sample_bytes()}));
  now += 100 * kDay;
  EXPECT_EQ(verdict(VerifiedIndex::verify(as_bytes(test::read_whole(channel / kIndexFile)), anchors, now)),
            "untrusted/index-expired");
  must(set_rollout(channel.dir(), {"testcam", ReleaseNumber{{1, 0, 0}}, 100}, terms()));
  EXPECT_EQ(index().index().serial, 3U);
}

TEST_F(Publisher, RolloutChangesOneReleaseOnly) {
  must(publish({sample_bytes()}));
  must(publish({next_version()}, {}, 5));
  EXPECT_EQ(must(set_rollout(channel.dir(), {"", {}, 20}, terms())).release.text(), "1.0.1");
  EXPECT_EQ(index().index().find("testcam", {{1, 0, 0}})->percent, 100U);
  EXPECT_EQ(index().index().find("testcam", {{1, 0, 1}})->percent, 20U);
}

TEST_F(Publisher, RolloutOfWhatIsNotThereIsAnError) {
  expect_refused([&] { return verdict(set_rollout(channel.dir(), {"", {}, 20}, terms())); }, "not_found");
  must(publish({sample_bytes()}));
  expect_refused([&] { return verdict(set_rollout(channel.dir(), {"other", {}, 20}, terms())); }, "not_found");
  expect_refused(
      [&] {
        return verdict(set_rollout(channel.dir(), {"", ReleaseNumber{{9, 0, 0}}, 20}, terms()));
      },
      "not_found");
  expect_refused([&] { return verdict(set_rollout(channel.dir(), {"", {}, 101}, terms())); }, "invalid_input");
  must(publish({build_bytes({.driver = "second"}, &publisher())}));
  const auto which = set_rollout(channel.dir(), {"", {}, 20}, terms());
  EXPECT_EQ(verdict(which), "invalid_input");
  EXPECT_NE(message(which).find("second, testcam"), std::string::npos) << message(which);
}

TEST_F(Publisher, TwoPublishersDoNotWorkAtOnce) {
  const UniqueFd other = must(channel.dir().open_file(".", O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  expect_refused([&] { return verdict(publish({sample_bytes()})); }, "transient");
  EXPECT_EQ(verdict(set_rollout(channel.dir(), {"", {}, 20}, terms())), "transient");
}

TEST_F(Publisher, DirectoryWithoutAChannelSaysHowToMakeOne) {
  const auto result = set_rollout(scratch.dir(), {"", {}, 20}, terms());
  EXPECT_EQ(verdict(result), "not_found");
  EXPECT_NE(message(result).find("channel init"), std::string::npos) << message(result);
}

}  // namespace
}  // namespace driverext
