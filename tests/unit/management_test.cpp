// What people decide about automatic rollback: pin, rollback, retry.
#include "provisioner/management.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::kept_bytes;
using test::kSampleDriver;
using test::kSampleKernel;
using test::message;
using test::must;
using test::SampleOptions;

const SampleOptions kOld{.version = "1.0"};
const SampleOptions kNew{.version = "2.0"};
const std::string kComing = "6.12.2-test";

std::string root_hash(const SampleOptions& options) {
  return test::signature_of(kept_bytes(options))["rootHash"].get<std::string>();
}

GoodImage good(const SampleOptions& options) { return {options.driver, options.version, root_hash(options), 100}; }

FailedImage failed(const SampleOptions& options, uint64_t attempts = kMaxAttempts) {
  return {options.version, "check-failed", "the check said no", attempts, 200};
}

class Management : public ::testing::Test {
 protected:
  void store(const SampleOptions& options) {
    host_.write(std::string(kStore) + "/" + root_hash(options) + "/testcam.raw", kept_bytes(options));
  }
  // 2.0 is in use, 1.0 was before it.
  void remember_both() {
    store(kOld);
    store(kNew);
    KernelMemory& memory = state_.kernels[kSampleKernel];
    memory.remember_good(good(kOld));
    memory.remember_good(good(kNew));
  }
  Survey node() {
    must(StateFile::read(host_.root()).write(state_));
    Survey found;
    must(take_survey({.root = host_.root(), .now = host_.now, .depth = SurveyRequest::Depth::everything}, found));
    return found;
  }
  // Version that a boot would use; empty if none.
  static std::string at_boot(const Survey& node, const State& state) {
    const Choice choice = choice_at_boot(node, state);
    return choice.image ? node.inventory.images[*choice.image].identity().version : "";
  }
  State on_disk() { return StateFile::read(host_.root()).state(); }

  test::FakeHost host_;
  State state_;
};

// Pin.

TEST_F(Management, PinnedVersionIsUsedThoughANewerOneIsHere) {
  remember_both();
  const Survey found = node();
  EXPECT_EQ(at_boot(found, state_), "2.0");
  const Pin pin = must(pin_for(found, "1.0", Insistence::none));
  EXPECT_EQ(pin, (Pin{kSampleDriver, "1.0", ""}));
  EXPECT_EQ(at_boot(found, with_pin(state_, pin)), "1.0");
}

TEST_F(Management, BeginningOfARootHashNamesOneImage) {
  remember_both();
  const Survey found = node();
  const std::string hash = root_hash(kOld);
  const Pin wanted{kSampleDriver, "1.0", hash};
  EXPECT_EQ(must(pin_for(found, hash, Insistence::none)), wanted);
  EXPECT_EQ(must(pin_for(found, hash.substr(0, 8), Insistence::none)), wanted);
  EXPECT_EQ(at_boot(found, with_pin(state_, wanted)), "1.0");
  EXPECT_TRUE(is_here(found, wanted));
}

TEST_F(Management, ShortBeginningOfARootHashIsNotEnough) {
  store(kOld);
  EXPECT_NE(message(pin_for(node(), root_hash(kOld).substr(0, 7), Insistence::none)).find("no image of"),
            std::string::npos);
}

TEST_F(Management, RootHashThatIsNotHereIsNeverTakenForAVersion) {
  store(kOld);
  const Result<Pin> pin = pin_for(node(), "0123456789abcdef", Insistence::force);
  ASSERT_FALSE(pin);
  EXPECT_EQ(pin.error().code, Errc::not_found);
}

TEST_F(Management, BeginningThatFitsTwoImagesIsRefused) {
  const auto known = [&](const std::string& hash) {
    ImageIdentity image;
    image.driver = kSampleDriver;
    image.version = "3.0";
    image.root_hash = hash;
    return KnownImage(Place::store, "x", Origin::local, std::make_shared<const ImageIdentity>(image), nullptr);
  };
  Survey found = node();
  found.inventory.images = {known(std::string(64, 'a')), known("aaaaaaaabb" + std::string(54, 'c'))};
  const Result<Pin> pin = pin_for(found, "AAAAAAAA", Insistence::none);
  ASSERT_FALSE(pin);
  EXPECT_EQ(pin.error().code, Errc::invalid_input);
  EXPECT_NE(pin.error().message().find("give more digits"), std::string::npos);
  EXPECT_EQ(must(pin_for(found, "aaaaaaaab", Insistence::none)).root_hash,
            found.inventory.images[1].identity().root_hash);
}

TEST_F(Management, VersionThatNobodyBringsIsPinnedOnlyIfInsistedOn) {
  store(kOld);
  const Survey found = node();
  EXPECT_NE(message(pin_for(found, "9.9", Insistence::none)).find("--force"), std::string::npos);
  const Pin pin = must(pin_for(found, "9.9", Insistence::force));
  EXPECT_EQ(pin.version, "9.9");
  EXPECT_FALSE(is_here(found, pin));
}

TEST_F(Management, VersionThatTheChannelMayBringCanBePinned) {
  store(kOld);
  Survey found = node();
  found.config.channel_url = "https://channel.example/";
  EXPECT_EQ(must(pin_for(found, "9.9", Insistence::none)), (Pin{kSampleDriver, "9.9", ""}));
  EXPECT_NE(message(pin_for(found, "../9", Insistence::none)).find("version or root hash"), std::string::npos);
}

TEST_F(Management, PinBringsBackWhatFailedOnEveryKernel) {
  store(kOld);
  store(kNew);
  state_.kernels[kSampleKernel].failed = {{root_hash(kNew), failed(kNew)}, {root_hash(kOld), failed(kOld)}};
  state_.kernels[kComing].failed = {{root_hash(kNew), failed(kNew, 1)}};
  const Survey found = node();
  const State state = with_pin(state_, must(pin_for(found, "2.0", Insistence::none)));
  EXPECT_EQ(at_boot(found, state), "2.0");
  const std::vector<RememberedFailure> left = all_failures(state);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left.front().root_hash, root_hash(kOld));
}

TEST_F(Management, PinIsOnDiskForTheNextBoot) {
  remember_both();
  const Survey found = node();
  must(write_memory(host_.root(), with_pin(state_, must(pin_for(found, "1.0", Insistence::none)))));
  host_.know_image(kept_bytes(kOld), kOld);
  host_.know_image(kept_bytes(kNew), kNew);
  const Status status = host_.provision();
  ASSERT_TRUE(status.image) << status.message;
  EXPECT_EQ(status.image->version, "1.0");
}

// Rollback.

TEST_F(Management, RollbackGoesToTheGoodImageBefore) {
  remember_both();
  const Survey found = node();
  const RollbackDecision decision = must(decide_rollback(found, 500, Insistence::none));
  EXPECT_EQ(decision.image, good(kNew));
  EXPECT_EQ(at_boot(found, decision.state), "1.0");
  ASSERT_TRUE(decision.next.image);
  EXPECT_EQ(found.inventory.images[*decision.next.image].identity().version, "1.0");
  const FailedImage* put_aside = decision.state.of(kSampleKernel).failure_of(root_hash(kNew));
  ASSERT_NE(put_aside, nullptr);
  EXPECT_TRUE(put_aside->is_put_aside());
  EXPECT_EQ(put_aside->reason, "rolled-back");
  EXPECT_EQ(put_aside->time, 500);
}

TEST_F(Management, NextProvisionUsesWhatWasRolledBackTo) {
  if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
  remember_both();
  const Survey found = node();
  must(write_memory(host_.root(), must(decide_rollback(found, 500, Insistence::none)).state));
  host_.know_image(kept_bytes(kOld), kOld);
  host_.know_image(kept_bytes(kNew), kNew);
  const Status status = host_.provision();
  EXPECT_EQ(test::reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "1.0");
  ASSERT_EQ(status.put_aside.size(), 1U);
  EXPECT_EQ(status.put_aside[0].reason, "rolled-back");
}

TEST_F(Management, RollbackIsForOneKernel) {
  remember_both();
  state_.kernels[kComing].remember_good(good(kNew));
  const State state = must(decide_rollback(node(), 500, Insistence::none)).state;
  EXPECT_EQ(state.of(kComing), state_.of(kComing));
}

TEST_F(Management, RollbackCanBeTakenBack) {
  remember_both();
  const Survey found = node();
  const State back = must(decide_rollback(found, 500, Insistence::none)).state;
  const RetryDecision retried = must(decide_retry(back, root_hash(kNew), kSampleKernel));
  EXPECT_EQ(at_boot(found, retried.state), "2.0");
}

TEST_F(Management, RollbackToNothingIsRefusedUnlessInsistedOn) {
  store(kNew);
  state_.kernels[kSampleKernel].remember_good(good(kNew));
  const Survey found = node();
  const Result<RollbackDecision> refused = decide_rollback(found, 500, Insistence::none);
  ASSERT_FALSE(refused);
  EXPECT_EQ(reason_info(reason_of(refused.error())).exit_code, ExitCode::nothing_fits);
  EXPECT_NE(refused.error().message().find("--force"), std::string::npos);
  EXPECT_EQ(at_boot(found, must(decide_rollback(found, 500, Insistence::force)).state), "");
}

TEST_F(Management, RollbackNeedsSomethingThatWasGood) {
  store(kOld);
  const Result<RollbackDecision> refused = decide_rollback(node(), 500, Insistence::force);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
}

TEST_F(Management, PinnedImageIsNotRolledBack) {
  remember_both();
  state_.pin = Pin{kSampleDriver, "2.0", root_hash(kNew)};
  const Result<RollbackDecision> refused = decide_rollback(node(), 500, Insistence::force);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_NE(refused.error().message().find("pin --none"), std::string::npos);
}

// Retry.

TEST_F(Management, RetryForgetsOneImageOnOneKernel) {
  store(kNew);
  state_.kernels[kSampleKernel].failed = {{root_hash(kNew), failed(kNew)}, {root_hash(kOld), failed(kOld)}};
  state_.kernels[kComing].failed = {{root_hash(kNew), failed(kNew)}};
  const Survey found = node();
  EXPECT_EQ(at_boot(found, state_), "");
  const RetryDecision decision = must(decide_retry(state_, root_hash(kNew).substr(0, 10), kSampleKernel));
  ASSERT_EQ(decision.forgotten.size(), 1U);
  EXPECT_EQ(decision.forgotten.front(), (RememberedFailure{kSampleKernel, root_hash(kNew), failed(kNew)}));
  EXPECT_EQ(all_failures(decision.state).size(), 2U);
  EXPECT_EQ(at_boot(found, decision.state), "2.0");
}

TEST_F(Management, RetryCanForgetOnEveryKernel) {
  state_.kernels[kSampleKernel].failed = {{root_hash(kNew), failed(kNew)}};
  state_.kernels[kComing].failed = {{root_hash(kNew), failed(kNew)}};
  const RetryDecision decision = must(decide_retry(state_, "2.0", ""));
  EXPECT_EQ(decision.forgotten.size(), 2U);
  EXPECT_TRUE(all_failures(decision.state).empty());
}

TEST_F(Management, RetrySaysOnWhichKernelItFailed) {
  state_.kernels[kComing].failed = {{root_hash(kNew), failed(kNew)}};
  const Result<RetryDecision> refused = decide_retry(state_, "2.0", kSampleKernel);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
  EXPECT_NE(refused.error().message().find("--kernel=" + kComing), std::string::npos) << refused.error().message();
  EXPECT_FALSE(decide_retry(state_, "7.0", ""));
}

// How images stand.

TEST_F(Management, StandingIsToldInWords) {
  state_.kernels[kSampleKernel].remember_good(good(kOld));
  state_.kernels[kSampleKernel].remember_good(good(kNew));
  state_.pin = Pin{kSampleDriver, "2.0", ""};
  ImageIdentity image;
  image.driver = kSampleDriver;
  const auto words = [&](const SampleOptions& options, const std::string& running) {
    image.version = options.version;
    image.root_hash = root_hash(options);
    return standing_text(standing_of(state_, kSampleKernel, running, image));
  };
  EXPECT_EQ(words(kNew, root_hash(kNew)), "running, last good, pinned");
  EXPECT_EQ(words(kOld, ""), "good");
  state_.kernels[kSampleKernel].remember_failure(root_hash(kOld), "1.0", "check-failed", "no", 1'800'000'000);
  EXPECT_EQ(words(kOld, ""), "good, failed once (check-failed, 2027-01-15 08:00 UTC)");
  state_.kernels[kSampleKernel].remember_failure(root_hash(kOld), "1.0", "check-failed", "no", 0);
  EXPECT_EQ(words(kOld, ""), "put aside (check-failed)");
  EXPECT_EQ(words({.version = "3.0"}, ""), "");
}

// Memory.

TEST_F(Management, MemoryOfANewerDriverextIsLeftAlone) {
  const std::string newer = R"({"format": 99, "kernels": {}})";
  host_.write(kStateFile, newer);
  state_.pin = Pin{kSampleDriver, "1.0", ""};
  EXPECT_NE(message(write_memory(host_.root(), state_)).find("newer driverext"), std::string::npos);
  EXPECT_EQ(test::read_whole(host_.path(kStateFile)), newer);
}

TEST_F(Management, DamagedMemoryIsBegunAnew) {
  host_.write(kStateFile, "{");
  state_.pin = Pin{kSampleDriver, "1.0", ""};
  must(write_memory(host_.root(), state_));
  EXPECT_EQ(on_disk(), state_);
}

}  // namespace
}  // namespace driverext
