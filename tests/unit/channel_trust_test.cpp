// Who signed an index, when, and whether a newer one was seen.
#include <gtest/gtest.h>

#include "channel/seen.hpp"
#include "channel/signed_index.hpp"
#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::kDay;
using test::kNow;
using test::message;
using test::must;
using test::publisher;
using test::publisher_only;
using test::sample_index;
using test::sample_release;
using test::sign;
using test::verdict;
using test::verified;

std::string verify(const Bytes& cms, int64_t now = kNow) {
  return verdict(VerifiedIndex::verify(cms, publisher_only(), now));
}

TEST(SignedIndex, PublishersOwnIsBelieved) {
  const VerifiedIndex index = verified(sample_index());
  EXPECT_EQ(index.index().channel, "stable");
  EXPECT_EQ(index.signer().fingerprint, publisher().signing_key().fingerprint());
  EXPECT_EQ(index.sha256(), test::hash_of(format_index(sample_index())));
}

TEST(SignedIndex, AlteredByteAnywhereIsRefusedOrChangesNothing) {
  const Bytes good = sign(sample_index());
  const TrustStore anchors = publisher_only();
  const std::string fingerprint = publisher().signing_key().fingerprint();
  constexpr size_t kSignature = 64;  // the signature itself stands last
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{0x01};
    const auto result = VerifiedIndex::verify(bad, anchors, kNow);
    if (!result) {
      EXPECT_EQ(verdict(result), "untrusted/index-untrusted") << i;
      continue;
    }
    // The container's version fields, and the copy of the certificate where the node has its own: nobody reads them.
    EXPECT_LT(i, good.size() - kSignature);
    EXPECT_EQ(result->sha256(), test::hash_of(format_index(sample_index()))) << i;
    EXPECT_EQ(result->signer().fingerprint, fingerprint) << i;
  }
}

TEST(SignedIndex, EveryAlteredByteOfTheContentIsRefused) {
  const std::string text = format_index(sample_index());
  const std::string good(as_text(sign(sample_index())));
  const size_t begin = good.find(text);
  ASSERT_NE(begin, std::string::npos);
  for (size_t i = begin; i < begin + text.size(); ++i) {
    const std::string bad = test::flipped(good, i);
    EXPECT_EQ(verdict(VerifiedIndex::verify(as_bytes(bad), publisher_only(), kNow)), "untrusted/index-untrusted") << i;
  }
}

TEST(SignedIndex, CutIndexIsRefusedAtEveryLength) {
  const Bytes good = sign(sample_index());
  for (size_t size = 0; size < good.size(); size += 7) {
    EXPECT_EQ(verify(Bytes(good.begin(), good.begin() + static_cast<long>(size))), "untrusted/index-untrusted") << size;
  }
}

TEST(SignedIndex, StrangersSignatureIsRefused) {
  EXPECT_EQ(verify(sign(sample_index(), test::stranger())), "untrusted/index-untrusted");
  const test::Identity web = test::make_identity({.issuer = &publisher(), .extended_key_usage = "serverAuth"});
  EXPECT_EQ(verify(sign(sample_index(), web)), "untrusted/index-untrusted");
}

TEST(SignedIndex, NodeWithoutTrustAnchorSaysSo) {
  EXPECT_EQ(verdict(VerifiedIndex::verify(sign(sample_index()), TrustStore(), kNow)), "untrusted/no-trust-anchor");
}

// The same key signs images. Neither of the two texts can stand in for the other.
TEST(SignedIndex, ImagesStatementIsNoIndex) {
  const std::string statement = format_statement({{}, 1, format_manifest(test::sample_manifest())});
  const auto result =
      VerifiedIndex::verify(must(publisher().signing_key().sign_attached(as_bytes(statement))), publisher_only(), kNow);
  EXPECT_EQ(verdict(result), "untrusted/index-untrusted");
  EXPECT_EQ(verdict(parse_statement(format_index(sample_index()))), "untrusted/manifest-mismatch");
}

TEST(SignedIndex, NewerFormatAsksForANewerProgram) {
  const std::string text = R"({"format":2,"new":true})";
  const Bytes cms = must(publisher().signing_key().sign_attached(as_bytes(text)));
  EXPECT_EQ(verify(cms), "unsupported");
  // Only the publisher's word for it counts.
  EXPECT_EQ(verify(must(test::stranger().signing_key().sign_attached(as_bytes(text)))), "untrusted/index-untrusted");
}

TEST(SignedIndex, ExpiredIndexIsRefusedFromThatSecondOn) {
  const ChannelIndex index = sample_index();
  const Bytes cms = sign(index);
  EXPECT_EQ(verify(cms, index.expires - 1), "fine");
  EXPECT_EQ(verify(cms, index.expires), "untrusted/index-expired");
  EXPECT_EQ(verify(cms, index.expires + 1000 * kDay), "untrusted/index-expired");
  EXPECT_NE(message(VerifiedIndex::verify(cms, publisher_only(), index.expires)).find("2027-02-13"), std::string::npos);
}

TEST(SignedIndex, ClockBehindTheIndexDoesNotLockANodeOut) {
  EXPECT_EQ(verify(sign(sample_index()), 0), "fine");
  EXPECT_EQ(verify(sign(sample_index()), -1), "fine");
  // Nor does it make an expired certificate good again.
  const test::Identity brief = test::make_identity({.issuer = &publisher(), .valid_until = kNow - 2 * kDay});
  EXPECT_EQ(verify(sign(sample_index(), brief), 0), "untrusted/index-untrusted");
}

TEST(SignedIndex, PublisherReadsAnExpiredOne) {
  EXPECT_EQ(verdict(read_signed_index(sign(sample_index()), publisher_only(), kNow + 1000 * kDay)), "fine");
}

ChannelIndex with_serial(uint64_t serial, unsigned percent = 100) {
  ChannelIndex index = sample_index({sample_release({{1, 0, 0}}, percent)});
  index.serial = serial;
  return index;
}

// What a node says of one index after it has seen another.
std::string after(const ChannelIndex& first, const ChannelIndex& second) {
  const test::TempDir root;
  must(remember_seen(root.dir(), {}, verified(first)));
  return verdict(compare_with_seen(must(read_seen(root.dir())).seen, verified(second)));
}

TEST(Seen, OlderIndexIsRefused) {
  EXPECT_EQ(after(with_serial(7), with_serial(6)), "untrusted/index-rolled-back");
  EXPECT_EQ(after(with_serial(7), with_serial(7)), "fine");
  EXPECT_EQ(after(with_serial(7), with_serial(8)), "fine");
}

TEST(Seen, SameSerialWithOtherContentIsRefused) {
  EXPECT_EQ(after(with_serial(7, 10), with_serial(7, 11)), "untrusted/index-rolled-back");
}

TEST(Seen, EachChannelHasItsOwnPast) {
  ChannelIndex beta = with_serial(3);
  beta.channel = "beta";
  EXPECT_EQ(after(with_serial(7), beta), "fine");
}

TEST(Seen, NothingIsWrittenIfNothingIsNew) {
  const test::TempDir root;
  EXPECT_EQ(must(remember_seen(root.dir(), {}, verified(with_serial(7)))), Written::changed);
  const auto before = test::listing(root.path());
  // Signed once more: other bytes, the same index.
  EXPECT_EQ(must(remember_seen(root.dir(), must(read_seen(root.dir())), verified(with_serial(7)))), Written::unchanged);
  EXPECT_EQ(test::listing(root.path()), before);
  EXPECT_EQ(must(remember_seen(root.dir(), must(read_seen(root.dir())), verified(with_serial(8)))), Written::changed);
}

TEST(Seen, DamagedFileIsToldAndKeptAndTheNodeGoesOn) {
  for (const std::string& text :
       {std::string("{"), std::string(), std::string(R"({"format":2,"channels":{}})"),
        std::string(R"({"format":1,"channels":{"stable":{"serial":7}}})"), std::string(kMaxSeenSize + 1, ' ')}) {
    const test::TempDir root;
    test::write_file(root / kSeenFile, text);
    const SeenFile file = must(read_seen(root.dir()));
    EXPECT_NE(file.damage, "");
    EXPECT_EQ(must(remember_seen(root.dir(), file, verified(with_serial(3)))), Written::changed);
    EXPECT_EQ(test::read_whole(root / kDamagedSeenFile), text);
    const SeenFile again = must(read_seen(root.dir()));
    EXPECT_EQ(again.damage, "");
    EXPECT_EQ(verdict(compare_with_seen(again.seen, verified(with_serial(2)))), "untrusted/index-rolled-back");
  }
}

TEST(Seen, FirstIndexIsTakenAsItIs) {
  const test::TempDir root;
  const SeenFile file = must(read_seen(root.dir()));
  EXPECT_EQ(file.damage, "");
  EXPECT_EQ(verdict(compare_with_seen(file.seen, verified(with_serial(1)))), "fine");
}

}  // namespace
}  // namespace driverext
