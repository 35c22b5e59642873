// Pruning: what a kernel of this node needs stays.
#include "provisioner/prune.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.hpp"
#include "support/candidates.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::exists;
using test::kept_bytes;
using test::kSampleDriver;
using test::kSampleKernel;
using test::must;
using test::SampleOptions;

const std::string kRunning = kSampleKernel;  // 6.12.1-test
const std::string kGone = "6.11.9-test";
const std::string kComing = "6.12.2-test";

// "2.0 6.12.1-test", for what is compared.
std::string label(const ImageIdentity& image) {
  std::string text = image.kind == Kind::modules ? "" : std::string(kind_name(image.kind)) + " ";
  text += image.version;
  return image.kernel_release.empty() ? text : text + " " + image.kernel_release;
}

// An image without a file: what is decided needs its manifest only.
KnownImage stand_in(const SampleOptions& options, Origin origin = Origin::local, Place place = Place::store) {
  const Manifest manifest = test::sample_manifest(options);
  ImageIdentity image;
  image.kind = manifest.kind;
  image.version = manifest.version;
  image.kernel_release = manifest.kernel_release;
  return test::candidate(
      manifest, {.place = place, .origin = origin, .root_hash = label(image) + " " + std::to_string(manifest.created)});
}

class Prune : public ::testing::Test {
 protected:
  Prune() {
    config_.driver = kSampleDriver;
    definition_.name = kSampleDriver;
    definition_.modules.emplace_back().name = kEveryModule;
    has_firmware_ = [](const std::string&) { return true; };
  }
  void add(const SampleOptions& options) { inventory_.images.push_back(stand_in(options)); }
  void add(const std::string& version, const std::string& kernel_release) {
    add({.version = version, .kernel_release = kernel_release});
  }
  void remember_good(const std::string& version, const std::string& kernel_release, int64_t time) {
    const ImageIdentity image = stand_in({.version = version, .kernel_release = kernel_release}).identity();
    state_.kernels[kernel_release].remember_good({image.driver, image.version, image.root_hash, time});
  }
  void remember_failed(const std::string& version, const std::string& kernel_release) {
    const ImageIdentity image = stand_in({.version = version, .kernel_release = kernel_release}).identity();
    state_.kernels[kernel_release].failed[image.root_hash] = {version, "check-failed", "no", kMaxAttempts, 5};
  }
  [[nodiscard]] static Facts facts_of(const std::string& release) {
    Facts facts{release, "x86-64", "debian", "12", "a boot"};
    facts.is_running = release == kRunning;
    return facts;
  }
  PruneInput input() {
    kernels_.clear();
    for (const auto& [release, why] : kernels_to_keep(inventory_, state_, kRunning, on_host_)) {
      kernels_.push_back({why, facts_of(release), has_firmware_});
    }
    return {config_, definition_, inventory_, state_, kernels_, attached_, running_, versions_};
  }
  // Labels of what goes, in order of the inventory.
  std::vector<std::string> removed() {
    std::vector<std::string> labels;
    for (const auto& [index, why] : plan_prune(input()).removed) {
      EXPECT_FALSE(why.empty());
      labels.push_back(label(inventory_.images[index].identity()));
    }
    return labels;
  }
  using Labels = std::vector<std::string>;

  Config config_;
  Definition definition_;
  Inventory inventory_;
  State state_;
  FirmwareLookup has_firmware_;
  std::vector<std::string> on_host_;
  std::set<std::string> attached_;
  std::string running_;
  size_t versions_ = kKeptVersions;
  std::vector<KeptKernel> kernels_;
};

TEST_F(Prune, NewestTwoVersionsForTheRunningKernelStay) {
  for (const char* version : {"1.0", "2.0", "3.0", "4.0"}) add(version, kRunning);
  EXPECT_EQ(removed(), (Labels{"1.0 " + kRunning, "2.0 " + kRunning}));
  versions_ = 3;
  EXPECT_EQ(removed(), (Labels{"1.0 " + kRunning}));
}

TEST_F(Prune, OfOneVersionTheOneThatWouldBeUsedStays) {
  add({.version = "1.0", .created = 100});
  add({.version = "1.0", .created = 200});
  const PrunePlan plan = plan_prune(input());
  ASSERT_EQ(plan.removed.size(), 1U);
  EXPECT_EQ(plan.removed.begin()->first, 0U);
}

TEST_F(Prune, KernelsThatAreNoMoreKeepNothing) {
  add("1.0", kGone);
  add("1.0", kRunning);
  EXPECT_EQ(removed(), (Labels{"1.0 " + kGone}));
}

TEST_F(Prune, KernelsThatTheHostHasStay) {
  add("1.0", kGone);
  on_host_ = {kGone, kRunning};
  EXPECT_EQ(removed(), Labels{});
}

TEST_F(Prune, ImagesForAComingKernelStay) {
  add("1.0", kRunning);
  add("1.0", kComing);
  EXPECT_EQ(removed(), Labels{});
}

TEST_F(Prune, LastKernelsThatRanStay) {
  for (const char* release : {"6.1.1-test", "6.1.2-test", "6.1.3-test"}) add("1.0", release);
  remember_good("1.0", "6.1.1-test", 30);
  remember_good("1.0", "6.1.2-test", 10);
  remember_good("1.0", "6.1.3-test", 20);
  EXPECT_EQ(removed(), (Labels{"1.0 6.1.2-test"}));
}

TEST_F(Prune, GoodImageAndTheOneBeforeItStay) {
  for (const char* version : {"1.0", "2.0", "3.0", "4.0", "5.0"}) add(version, kRunning);
  remember_good("1.0", kRunning, 10);
  remember_good("2.0", kRunning, 20);
  EXPECT_EQ(removed(), (Labels{"3.0 " + kRunning}));
}

TEST_F(Prune, WhatWasPutAsideGoes) {
  add("1.0", kRunning);
  add("2.0", kRunning);
  remember_failed("2.0", kRunning);
  EXPECT_EQ(removed(), (Labels{"2.0 " + kRunning}));
}

TEST_F(Prune, WhatIsPinnedAttachedOrRunningStays) {
  const std::vector<std::string> all = {"1.0", "2.0", "3.0", "4.0", "5.0", "6.0"};
  for (const std::string& version : all) add(version, kGone);
  EXPECT_EQ(removed().size(), all.size());
  attached_ = {inventory_.images[0].identity().root_hash};
  running_ = inventory_.images[1].identity().root_hash;
  state_.pin = Pin{kSampleDriver, "3.0", inventory_.images[2].identity().root_hash};
  EXPECT_EQ(removed(), (Labels{"4.0 " + kGone, "5.0 " + kGone, "6.0 " + kGone}));
}

TEST_F(Prune, PinnedVersionStaysForKeptKernels) {
  for (const char* version : {"1.0", "2.0", "3.0", "4.0"}) add(version, kRunning);
  state_.pin = Pin{kSampleDriver, "1.0", ""};
  const Labels gone = removed();
  EXPECT_EQ(std::count(gone.begin(), gone.end(), "1.0 " + kRunning), 0);
}

TEST_F(Prune, UserlandStaysWithItsModules) {
  add({.version = "2.0", .userland = "2.0"});
  add({.version = "2.0", .kind = Kind::userland});
  add({.version = "1.0", .kind = Kind::userland});
  EXPECT_EQ(removed(), (Labels{"userland 1.0"}));
}

TEST_F(Prune, ModulesThatWaitForTheirUserlandStay) {
  add("1.0", kRunning);
  add({.version = "2.0", .userland = "2.0"});
  EXPECT_EQ(removed(), Labels{});
}

TEST_F(Prune, NewestSourceAndBuildersForKeptKernelsStay) {
  for (const char* version : {"1.0", "2.0"}) add({.version = version, .kind = Kind::source});
  for (const std::string& release : {kGone, kRunning, kComing}) {
    add({.driver = "builder", .version = "for-" + release, .kind = Kind::builder, .kernels = {release}});
  }
  EXPECT_EQ(removed(), (Labels{"source 1.0", "builder for-" + kGone}));
}

TEST_F(Prune, UserlandOfTheNewestSourceStays) {
  add({.version = "2.0", .kind = Kind::source});
  add({.version = "2.0", .kind = Kind::userland});
  EXPECT_EQ(removed(), Labels{});
}

TEST_F(Prune, ImagesOfAnotherDriverGo) {
  add({.driver = "othercam"});
  EXPECT_EQ(removed().size(), 1U);
}

TEST_F(Prune, WhatIsNotInTheStoreIsNotTouched) {
  inventory_.images.push_back(stand_in({.kernel_release = kGone}, Origin::local, Place::inbox));
  inventory_.images.push_back(stand_in({.kernel_release = kGone}, Origin::local, Place::quarantine));
  EXPECT_EQ(removed(), Labels{});
}

// What would be used on any kernel that is kept is the same before and after.
TEST_F(Prune, NeverChangesWhatIsChosen) {
  unsigned random = 1;
  const auto next = [&random](unsigned below) {
    random = random * 1103515245U + 12345U;
    return (random >> 16U) % below;
  };
  const std::vector<std::string> releases = {"6.1.1-test", kGone, kRunning, kComing};
  for (int round = 0; round < 60; ++round) {
    inventory_ = {};
    state_ = {};
    for (unsigned i = 0; i < 14; ++i) {
      const std::string version = std::to_string(1 + next(5)) + ".0";
      const std::string release = releases[next(4)];
      const bool split = next(3) == 0;
      add({.version = version, .kernel_release = release, .created = 100 + i, .userland = split ? version : ""});
      if (next(4) == 0) add({.version = version, .created = 100 + i, .kind = Kind::userland});
      const ImageIdentity& image = inventory_.images.back().identity();
      KernelMemory& memory = state_.kernels[release];
      if (next(4) == 0) memory.remember_good({image.driver, image.version, image.root_hash, int64_t{i}});
      if (next(4) == 0) memory.failed[image.root_hash] = {version, "check-failed", "no", 1 + next(2), 5};
    }
    versions_ = 1 + next(3);
    const PruneInput before = input();
    const PrunePlan plan = plan_prune(before);
    Inventory after;
    for (size_t i = 0; i < inventory_.images.size(); ++i) {
      if (!plan.removed.contains(i)) after.images.push_back(inventory_.images[i]);
    }
    const State memory = forget_what_is_gone(before, plan.removed);
    const std::set<std::string> tried;
    const std::string running;
    for (const KeptKernel& kernel : kernels_) {
      const auto chosen = [&](const Inventory& inventory, const State& state) -> std::string {
        const Choice choice =
            choose_image({kernel.facts, config_, definition_, inventory, state, tried, has_firmware_, running});
        return choice.image ? inventory.images[*choice.image].identity().root_hash : "nothing";
      };
      EXPECT_EQ(chosen(inventory_, state_), chosen(after, memory)) << kernel.facts.kernel_release << " " << round;
    }
  }
}

// Memory.

TEST_F(Prune, FailuresOfImagesThatAreGoneAreForgotten) {
  add("1.0", kRunning);
  add("2.0", kRunning);
  remember_failed("2.0", kRunning);
  remember_failed("0.9", kRunning);
  const PruneInput all = input();
  EXPECT_TRUE(all_failures(forget_what_is_gone(all, plan_prune(all).removed)).empty());
  EXPECT_EQ(all_failures(forget_what_is_gone(all, {})).size(), 1U);
}

TEST_F(Prune, FailuresOfWhatTheChannelMayBringAgainStay) {
  add("1.0", kRunning);
  config_.channel_url = "https://channel.example/";
  remember_failed("2.0", kRunning);
  const PruneInput all = input();
  EXPECT_EQ(all_failures(forget_what_is_gone(all, {})).size(), 1U);
}

TEST_F(Prune, KernelsThatAreNotKeptAndHaveNoImageAreForgotten) {
  add("1.0", kRunning);
  remember_good("1.0", kRunning, 10);
  remember_failed("1.0", kGone);
  const PruneInput all = input();
  const State after = forget_what_is_gone(all, {});
  EXPECT_EQ(after.kernels.size(), 1U);
  EXPECT_EQ(after.of(kRunning), state_.of(kRunning));
}

// Files.

class PruneFiles : public ::testing::Test {
 protected:
  std::string store(const SampleOptions& options) {
    const std::string hash = test::signature_of(kept_bytes(options))["rootHash"].get<std::string>();
    const std::string folder = std::string(kStore) + "/" + hash;
    host_.write(folder + "/testcam.raw", kept_bytes(options));
    host_.write(folder + "/origin", "channel\n");
    return folder;
  }
  Survey node() {
    Survey found;
    must(take_survey({.root = host_.root(), .now = host_.now}, found));
    return found;
  }
  test::FakeHost host_;
};

TEST_F(PruneFiles, ImageNoteAndFolderGo) {
  const std::string folder = store({.kernel_release = kGone});
  const Survey found = node();
  ASSERT_EQ(found.inventory.images.size(), 1U);
  EXPECT_EQ(must(remove_from_store(host_.root(), found.inventory.images[0])),
            kept_bytes({.kernel_release = kGone}).size());
  EXPECT_FALSE(exists(host_.path(folder)));
  EXPECT_TRUE(exists(host_.path(kStore)));
}

TEST_F(PruneFiles, RefusedFileInTheFolderStays) {
  const std::string folder = store({.kernel_release = kGone});
  host_.write(folder + "/other.raw", "no image");
  const Survey found = node();
  ASSERT_EQ(found.inventory.images.size(), 1U);
  must(remove_from_store(host_.root(), found.inventory.images[0]));
  EXPECT_TRUE(exists(host_.path(folder + "/other.raw")));
  EXPECT_FALSE(exists(host_.path(folder + "/testcam.raw")));
}

TEST_F(PruneFiles, LinksAreNotFollowed) {
  const std::string folder = store({.kernel_release = kGone});
  const std::string elsewhere = "var/elsewhere";
  std::filesystem::rename(host_.path(folder), host_.path(elsewhere));
  must(host_.root().make_link("/" + elsewhere, folder));
  const Survey found = node();
  ASSERT_EQ(found.inventory.images.size(), 1U);
  const Result<uint64_t> refused = remove_from_store(host_.root(), found.inventory.images[0]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_TRUE(exists(host_.path(elsewhere + "/testcam.raw")));
}

TEST_F(PruneFiles, QuarantinedFileGoesWithItsNote) {
  const std::string name = std::string(kQuarantine) + "/bad.raw";
  host_.write(name, "no image");
  host_.write(quarantine_note_name(name), "{}");
  const Survey found = node();
  ASSERT_EQ(found.inventory.rejected.size(), 1U);
  EXPECT_EQ(must(remove_from_quarantine(host_.root(), found.inventory.rejected[0])), 8U);
  EXPECT_EQ(must(host_.root().list(kQuarantine)).size(), 0U);
}

TEST_F(PruneFiles, NothingOutsideOfItsPlaceIsRemoved) {
  host_.drop("testcam.raw", kept_bytes({}));
  host_.drop("bad.raw", "no image");
  const Survey found = node();
  EXPECT_FALSE(remove_from_store(host_.root(), found.inventory.images.at(0)));
  EXPECT_FALSE(remove_from_quarantine(host_.root(), found.inventory.rejected.at(0)));
  EXPECT_EQ(must(host_.root().list(kInbox)).size(), 2U);
}

TEST_F(PruneFiles, SurveyKnowsKernelsAndMounts) {
  store({.kernel_release = kComing});
  must(host_.root().make_dirs("usr/lib/modules/" + kGone, 0755));
  must(host_.root().make_dirs("run/driverext/mounts/abcd", 0755));
  const PruneSurvey survey = must(look_for_prune(host_.root(), node()));
  std::vector<std::string> releases;
  for (const KeptKernel& kernel : survey.kernels) releases.push_back(kernel.facts.kernel_release);
  EXPECT_EQ(releases, (std::vector<std::string>{kGone, kRunning, kComing}));
  EXPECT_EQ(survey.attached, (std::set<std::string>{"abcd"}));
}

}  // namespace
}  // namespace driverext
