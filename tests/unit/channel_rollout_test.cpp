// Which nodes a release reaches, and what a node then takes.
#include <gtest/gtest.h>

#include <set>

#include "channel/rollout.hpp"
#include "channel/select.hpp"
#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::kSampleDriver;
using test::kSampleKernel;
using test::message;
using test::must;
using test::sample_index;
using test::sample_release;
using test::verdict;
using test::verified;

constexpr ReleaseNumber kOne{{1, 0, 0}};
constexpr ReleaseNumber kTwo{{2, 0, 0}};
constexpr int kNodes = 10'000;

const std::vector<NodeId>& nodes() {
  static const std::vector<NodeId> all = [] {
    std::vector<NodeId> made;
    for (int i = 0; i < kNodes; ++i) {
      made.push_back(*NodeId::of_machine_id(test::hash_of("machine " + std::to_string(i)).substr(0, 32)));
    }
    return made;
  }();
  return all;
}

std::set<int> reached(const ReleaseNumber& release, unsigned percent) {
  std::set<int> in;
  for (int i = 0; i < kNodes; ++i) {
    const auto& node = nodes()[static_cast<size_t>(i)];
    if (is_rolled_out(rollout_place(node, "stable", kSampleDriver, release), percent)) in.insert(i);
  }
  return in;
}

TEST(Rollout, PlacesAreSpreadEvenly) {
  std::array<int, 100> buckets{};
  for (const NodeId& node : nodes()) ++buckets.at(rollout_place(node, "stable", kSampleDriver, kOne) / 100);
  double chi_square = 0;
  constexpr double kExpected = kNodes / 100.0;
  for (const int count : buckets) chi_square += (count - kExpected) * (count - kExpected) / kExpected;
  // 99 degrees of freedom: 99.99 % of fair draws lie between these two.
  EXPECT_GT(chi_square, 52);
  EXPECT_LT(chi_square, 161);
}

TEST(Rollout, ZeroHoldsNoneAndHundredHoldsAll) {
  EXPECT_EQ(reached(kOne, 0).size(), 0U);
  EXPECT_EQ(reached(kOne, 100).size(), static_cast<size_t>(kNodes));
  EXPECT_NEAR(static_cast<double>(reached(kOne, 10).size()), 1000, 120);
}

TEST(Rollout, HigherPercentageDropsNoNode) {
  std::set<int> before;
  for (unsigned percent = 0; percent <= 100; percent += 5) {
    std::set<int> now = reached(kOne, percent);
    EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end())) << percent;
    before = std::move(now);
  }
}

TEST(Rollout, EachReleaseHasOtherCanaries) {
  const std::set<int> first = reached(kOne, 10);
  const std::set<int> second = reached(kTwo, 10);
  std::vector<int> both;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(), std::back_inserter(both));
  // By chance, one in a hundred nodes is among the first tenth twice.
  EXPECT_NEAR(static_cast<double>(both.size()), 100, 50);
}

TEST(Rollout, PlaceDependsOnChannelAndDriverToo) {
  const RolloutPlace place = rollout_place(nodes()[0], "stable", "a", kOne);
  EXPECT_EQ(rollout_place(nodes()[0], "stable", "a", kOne), place);
  EXPECT_NE(rollout_place(nodes()[0], "beta", "a", kOne), place);
  EXPECT_NE(rollout_place(nodes()[0], "stable", "b", kOne), place);
}

// A released driverext and the next one must agree, or an update of it would move every node.
TEST(Rollout, PlaceOfANodeNeverChanges) {
  const auto node = NodeId::of_machine_id("0123456789abcdef0123456789abcdef\n");
  EXPECT_EQ(rollout_place(node, "stable", "nvidia", kOne), 5670U);
  EXPECT_EQ(rollout_place(node, "stable", "nvidia", kTwo), 9853U);
}

TEST(Rollout, NodeWithoutMachineIdComesLast) {
  for (const char* text :
       {"", "uninitialized\n", "0123456789ABCDEF0123456789ABCDEF\n", "0123\n", "00000000000000000000000000000000\n"}) {
    EXPECT_FALSE(NodeId::of_machine_id(text)) << text;
  }
  const RolloutPlace place = rollout_place(std::nullopt, "stable", kSampleDriver, kOne);
  EXPECT_FALSE(is_rolled_out(place, 99));
  EXPECT_TRUE(is_rolled_out(place, 100));
  const test::TempDir root;
  EXPECT_FALSE(must(read_node_id(root.dir())));
  test::write_file(root / "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  EXPECT_TRUE(must(read_node_id(root.dir())));
}

TEST(Rollout, NodeIdDoesNotShowTheMachineId) {
  const std::string id = "0123456789abcdef0123456789abcdef";
  const std::string shown = to_hex(NodeId::of_machine_id(id)->digest());
  EXPECT_EQ(shown.find(id), std::string::npos);
  EXPECT_NE(shown, test::hash_of(id));
}

ChannelWish wish() {
  ChannelWish wish;
  wish.driver = kSampleDriver;
  wish.kernel_release = kSampleKernel;
  wish.architecture = "x86-64";
  wish.node = nodes()[0];
  return wish;
}

std::string selected(const ChannelIndex& index, const ChannelWish& wanted = wish()) {
  const auto offer = select_image(verified(index), wanted);
  return offer ? offer->release.text() : verdict(offer);
}

TEST(Select, HighestReleaseIsTaken) {
  EXPECT_EQ(selected(sample_index({sample_release({{1, 9, 0}}), sample_release({{1, 10, 0}}), sample_release(kOne)})),
            "1.10.0");
}

TEST(Select, ReleaseThatWaitsGivesWayToAnOlderOneAndIsTold) {
  const Offer offer = must(select_image(
      verified(sample_index({sample_release(kOne), sample_release(kTwo, 0), sample_release({{1, 5, 0}}, 0)})), wish()));
  EXPECT_EQ(offer.release, kOne);
  ASSERT_TRUE(offer.waiting);
  EXPECT_EQ(offer.waiting->number, kTwo);
  EXPECT_EQ(offer.waiting->text(), "release 2.0.0 (580.0) is rolled out to 0 % of nodes; this node's place is " +
                                       place_text(rollout_place(wish().node, "stable", kSampleDriver, kTwo)) +
                                       ", so it waits");
}

TEST(Select, OnlyReleaseThatFitsWaits) {
  const auto result = select_image(verified(sample_index({sample_release({{1, 2, 0}}, 0)})), wish());
  EXPECT_EQ(verdict(result), "transient/rollout-waiting");
  EXPECT_NE(message(result).find("release 1.2.0 (580.2) is rolled out to 0 % of nodes; this node's place is "),
            std::string::npos)
      << message(result);
}

TEST(Select, RolloutReachesExactlyTheNodesBelowIt) {
  const RolloutPlace place = rollout_place(wish().node, "stable", kSampleDriver, kOne);
  const unsigned first = place / 100 + 1;
  EXPECT_EQ(selected(sample_index({sample_release(kOne, first)})), "1.0.0");
  EXPECT_EQ(selected(sample_index({sample_release(kOne, first - 1)})), "transient/rollout-waiting");
}

TEST(Select, ImageForAnotherHostIsNoImage) {
  const auto with = [](const std::function<void(ChannelWish&)>& edit) {
    ChannelWish wanted = wish();
    edit(wanted);
    return selected(sample_index(), wanted);
  };
  EXPECT_EQ(with([](ChannelWish&) {}), "1.0.0");
  EXPECT_EQ(with([](ChannelWish& w) { w.kernel_release = "6.1"; }), "not_found/no-image-in-channel");
  EXPECT_EQ(with([](ChannelWish& w) { w.architecture = "arm64"; }), "not_found/no-image-in-channel");
  EXPECT_EQ(with([](ChannelWish& w) { w.driver = "other"; }), "not_found/no-image-in-channel");
  EXPECT_EQ(with([](ChannelWish& w) { w.os_id = "flatcar"; }), "not_found/no-image-in-channel");
  EXPECT_EQ(with([](ChannelWish& w) { w.os_id = "debian"; }), "1.0.0");
  EXPECT_EQ(with([](ChannelWish& w) { w.kinds = {Kind::source}; }), "not_found/no-image-in-channel");
}

TEST(Select, NewerReleaseWithoutAnImageForThisKernelIsPassedOver) {
  ChannelRelease newer = sample_release(kTwo);
  newer.images = {test::sample_entry("6.13.0")};
  EXPECT_EQ(selected(sample_index({sample_release(kOne), newer})), "1.0.0");
}

TEST(Select, ErrorNamesWhatTheChannelHas) {
  ChannelWish other_kernel = wish();
  other_kernel.kernel_release = "6.1";
  EXPECT_NE(message(select_image(verified(sample_index()), other_kernel)).find(kSampleKernel), std::string::npos);
  ChannelWish other_driver = wish();
  other_driver.driver = "other";
  EXPECT_NE(message(select_image(verified(sample_index()), other_driver)).find(kSampleDriver), std::string::npos);
  EXPECT_NE(message(select_image(verified(sample_index({})), wish())).find("empty"), std::string::npos);
}

TEST(Select, FirstKindOfTheWishIsTaken) {
  ChannelRelease release = sample_release(kOne);
  ChannelImage complete = test::sample_entry(kSampleKernel, "complete");
  complete.kind = "complete";
  ChannelImage source = test::sample_entry("", "source");
  source.kind = "source";
  release.images.push_back(complete);
  release.images.push_back(source);
  const VerifiedIndex index = verified(sample_index({release}));
  ChannelWish wanted = wish();
  EXPECT_EQ(must(select_image(index, wanted)).image.kind, "complete");
  wanted.kinds = {Kind::modules, Kind::complete};
  EXPECT_EQ(must(select_image(index, wanted)).image.kind, "modules");
  // Source is for every kernel.
  wanted.kinds = {Kind::source};
  wanted.kernel_release = "6.99";
  EXPECT_EQ(must(select_image(index, wanted)).image.kind, "source");
}

}  // namespace
}  // namespace driverext
