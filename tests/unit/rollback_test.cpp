// A new image that fails is put aside, and the one before it is used: in the same run, and at the next boot.
#include <gtest/gtest.h>

#include <cerrno>

#include "crypto/trusted_clock.hpp"
#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::gpu_root_hash;
using test::GpuImageOptions;
using test::KernelState;
using test::must;

const GpuImageOptions kOld{.version = "1.0", .created = 100};
const GpuImageOptions kNew{.version = "2.0", .created = 200};

using test::reason;

// "2.0 check-failed", one after the other.
std::string put_aside(const Status& status) {
  std::string text;
  for (const Status::PutAside& image : status.put_aside) {
    text += (text.empty() ? "" : ", ") + image.version + " " + image.reason;
  }
  return text;
}

// What a reboot leaves of a host: var and etc.
void boot_from(const FakeGpuHost& before, FakeGpuHost& after) {
  for (const GpuImageOptions& options : {kOld, kNew}) {
    const std::string folder = std::string(kStore) + "/" + gpu_root_hash(options);
    if (test::exists(before.path(folder))) after.store_image(options);
  }
  for (const std::string& name : {std::string(kStateFile), std::string(kClockFile)}) {
    if (test::exists(before.path(name))) after.write(name, test::read_whole(before.path(name)));
  }
}

KernelMemory memory_of(const FakeGpuHost& host) { return host.state().of(test::kSampleKernel); }

class Rollback : public ::testing::Test {
 protected:
  Rollback() {
    host_.store_image(kOld);
    host_.drop_image(kNew);
  }
  // The new image failed, the old one runs, all in one run.
  void expect_rolled_back(const char* why) {
    const Status status = host_.provision();
    EXPECT_EQ(reason(status), "provisioned") << status.message;
    EXPECT_EQ(status.image->version, "1.0");
    EXPECT_EQ(status.message, "testgpu 1.0 for 6.12.1-test");
    EXPECT_EQ(put_aside(status), std::string("2.0 ") + why);
    EXPECT_EQ(host_.version_in_root(), "1.0");
    EXPECT_EQ(host_.kernel.state().devices.size(), 1U) << test::to_text(host_.kernel.state());
    const KernelMemory memory = memory_of(host_);
    EXPECT_EQ(memory.good.front().version, "1.0");
    EXPECT_EQ(memory.failed.at(gpu_root_hash(kNew)).reason, why);
    EXPECT_EQ(memory.failed.at(gpu_root_hash(kNew)).attempts, 1U);
    EXPECT_EQ(memory.failed.at(gpu_root_hash(kNew)).time, test::kNow);
    EXPECT_FALSE(memory.attempt);
  }
  // The new image failed, and the old one was not even begun.
  void expect_not_rolled_back(const char* why) {
    const KernelState before = host_.kernel.state();
    const Status status = host_.provision();
    EXPECT_EQ(reason(status), why) << status.message;
    EXPECT_EQ(status.image->version, "2.0");
    EXPECT_EQ(put_aside(status), "");
    EXPECT_EQ(host_.kernel.state(), before) << test::to_text(host_.kernel.state());
    EXPECT_TRUE(memory_of(host_).failed.empty());
    EXPECT_EQ(host_.version_in_root(), "");
  }
  FakeGpuHost host_;
};

TEST_F(Rollback, NewestImageIsUsedIfItWorks) {
  const Status status = host_.provision();
  EXPECT_EQ(status.image->version, "2.0");
  EXPECT_EQ(put_aside(status), "");
}

TEST_F(Rollback, ModuleThatTheKernelRefusesIsPutAside) {
  host_.replace_module(kNew, ENOEXEC);
  expect_rolled_back("module-load-failed");
}

TEST_F(Rollback, DriverWithoutItsDevicesIsPutAside) {
  host_.replace_module(kNew, 0, false);
  expect_rolled_back("device-missing");
}

TEST_F(Rollback, FailedCheckIsPutAside) {
  host_.check_fails_for = "2.0";
  expect_rolled_back("check-failed");
}

TEST_F(Rollback, StatusListsTheStepsOfTheImageThatRuns) {
  host_.check_fails_for = "2.0";
  EXPECT_EQ(
      test::steps_text(host_.provision()),
      "import satisfied, verify done, attach done, load done, devices done, root done, check satisfied, toolkit done, "
      "commit done");
  EXPECT_EQ(host_.progress.ended.size(), 7U + 4U + 9U);  // to the check, four undone, and the whole once more
}

TEST_F(Rollback, WhatWasPutAsideIsNotTriedAtTheNextBoot) {
  host_.check_fails_for = "2.0";
  host_.provision();
  FakeGpuHost next;
  boot_from(host_, next);
  const Status status = next.provision();
  EXPECT_EQ(status.image->version, "1.0") << status.message;
  EXPECT_EQ(put_aside(status), "2.0 check-failed");
  EXPECT_EQ(next.state(), host_.state());
  for (const std::string& call : next.kernel.calls()) {
    EXPECT_EQ(call.find(gpu_root_hash(kNew)), std::string::npos) << call;
  }
}

TEST_F(Rollback, BothFailingEndsInTheReasonOfTheLast) {
  host_.replace_module(kOld, ENOEXEC);
  host_.check_fails_for = "2.0";
  const KernelState before = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "module-load-failed");
  EXPECT_EQ(memory_of(host_).failed.size(), 2U);
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_EQ(status.put_aside.size(), 2U);
  EXPECT_TRUE(status.kernels_ready.empty());
}

TEST_F(Rollback, SingleImageThatFailedCleanlyIsTriedAgain) {
  FakeGpuHost host;
  host.store_image(kNew);
  host.check_fails_for = "2.0";
  EXPECT_EQ(reason(host.provision()), "check-failed");
  host.check_fails_for = "";
  const Status status = host.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(put_aside(status), "");
  EXPECT_TRUE(memory_of(host).failed.empty());  // it works: forgotten
}

// What copies files into the inbox may do so at every boot: it is no person that wants it back.
TEST_F(Rollback, DroppingTheImageAgainDoesNotBringItBack) {
  host_.check_fails_for = "2.0";
  host_.provision();
  FakeGpuHost next;
  boot_from(host_, next);
  next.drop_image(kNew);
  const Status status = next.provision();
  EXPECT_EQ(status.image->version, "1.0") << status.message;
  EXPECT_EQ(put_aside(status), "2.0 check-failed, 2.0 check-failed");  // the stored one and its copy
}

TEST_F(Rollback, SecondFailureOfASingleImagePutsItAside) {
  FakeGpuHost host;
  host.store_image(kNew);
  host.check_fails_for = "2.0";
  EXPECT_EQ(reason(host.provision()), "check-failed");
  EXPECT_EQ(reason(host.provision()), "check-failed");
  EXPECT_TRUE(memory_of(host).failed.at(gpu_root_hash(kNew)).is_put_aside());
  host.check_fails_for = "";  // also if it would work by now
  EXPECT_EQ(reason(host.provision()), "put-aside");
}

TEST_F(Rollback, NewerBuildIsTriedThoughTheOneBeforeItWasPutAside) {
  FakeGpuHost host;
  host.store_image(kOld);
  State state;
  state.kernels[test::kSampleKernel].failed[gpu_root_hash(kOld)] = {"1.0", "check-failed", "x", kMaxAttempts, 1};
  host.write(kStateFile, format_state(state));
  EXPECT_EQ(reason(host.provision()), "put-aside");
  host.drop_image(kNew);
  EXPECT_EQ(reason(host.provision()), "provisioned");
}

TEST_F(Rollback, FailureOnOneKernelIsNoneOnAnother) {
  FakeGpuHost host;
  host.store_image(kNew);
  State state;
  state.kernels["6.6.6"].failed[gpu_root_hash(kNew)] = {"2.0", "check-failed", "x", kMaxAttempts, 1};
  host.write(kStateFile, format_state(state));
  EXPECT_EQ(reason(host.provision()), "provisioned");
}

// It worked on this very kernel: what fails now is something else, and no reason to give it up.
TEST_F(Rollback, ImageThatWasGoodIsNeverPutAsideByItself) {
  FakeGpuHost host;
  host.store_image(kOld);
  host.provision();
  FakeGpuHost next;
  boot_from(host, next);
  next.check_fails_for = "1.0";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(reason(next.provision()), "check-failed");
    EXPECT_TRUE(memory_of(next).failed.empty());
  }
  next.check_fails_for = "";
  EXPECT_EQ(reason(next.provision()), "provisioned");
}

TEST_F(Rollback, ImageThatRunsIsNotExchangedForANewerOne) {
  FakeGpuHost host;
  host.store_image(kOld);
  host.provision();
  host.drop_image(kNew);
  const Status status = host.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "1.0");
  FakeGpuHost next;
  boot_from(host, next);
  EXPECT_EQ(next.provision().image->version, "2.0");
}

TEST_F(Rollback, ModuleThatHangsIsPutAside) {
  host_.replace_module(kNew, ETIMEDOUT);
  expect_rolled_back("load-timeout");
}

TEST_F(Rollback, NewImageLeavesTimeForTheOneBeforeIt) {
  FakeGpuHost host;
  host.store_image(kOld);
  host.provision();
  FakeGpuHost next;
  boot_from(host, next);
  next.drop_image(kNew);
  const uint64_t now = monotonic_usec();
  Host given = next.host();
  given.deadline_usec = now + 60'000'000;
  const Status status = provision(given, next.progress);
  EXPECT_EQ(status.image->version, "2.0");
  EXPECT_LE(next.kernel.load_deadline_usec(), now + 45'000'000);
  EXPECT_GE(next.kernel.load_deadline_usec(), now + 35'000'000);
}

TEST_F(Rollback, NothingIsBegunOnceTheBootHasNoMoreTime) {
  const KernelState before = host_.kernel.state();
  Host given = host_.host();
  given.deadline_usec = 1;
  const Status status = provision(given, host_.progress);
  EXPECT_EQ(reason(status), "budget-exceeded") << status.message;
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_TRUE(memory_of(host_).failed.empty());
}

// A fault of the host is no fault of the image.

TEST_F(Rollback, PermissionAndMemoryPutNothingAside) {
  for (const int error : {EPERM, ENOMEM}) {
    host_.replace_module(kNew, error);
    expect_not_rolled_back("module-load-failed");
  }
}

TEST_F(Rollback, MountConflictPutsNothingAside) {
  must(host_.root().make_dirs(test::kGpuRoot, 0755));
  host_.kernel.place_mount(host_.path(test::kGpuRoot));
  expect_not_rolled_back("mount-conflict");
}

TEST_F(Rollback, ForeignModulePutsNothingAside) {
  host_.kernel.place_module("testgpu", "ffff");
  expect_not_rolled_back("module-conflict");
}

TEST_F(Rollback, LdconfigThatFailsPutsNothingAside) {
  host_.programs.fail_run(1);
  expect_not_rolled_back("root-failed");
}

// What is untrusted is told, not passed over.

TEST_F(Rollback, CorruptDataNeverFallsThroughToAnOlderImage) {
  for (const test::Corruption where : {test::Corruption::first_block, test::Corruption::module_block}) {
    host_.kernel.corrupt(where);
    expect_not_rolled_back("data-corrupt");
  }
}

TEST_F(Rollback, CorruptHashTreeNeverFallsThroughToAnOlderImage) {
  const std::string& bytes = test::gpu_bytes(kNew);
  const uint64_t tree = test::partitions_of(bytes)[1].offset + 4096;
  host_.drop("testgpu-2.0-complete12.raw", test::flipped(bytes, tree));
  expect_not_rolled_back("hash-tree-corrupt");
}

TEST_F(Rollback, WrongManifestInTheImageNeverFallsThroughToAnOlderImage) {
  host_.kernel.add_image(gpu_root_hash(kNew), {{std::string(kManifestPath), "{}"}});
  expect_not_rolled_back("manifest-mismatch");
}

TEST_F(Rollback, UndoThatFailedStopsTheFallBack) {
  host_.check_fails_for = "2.0";
  {
    FakeGpuHost probe;  // counts the calls up to the failure
    probe.drop_image(kNew);
    probe.check_fails_for = "2.0";
    probe.provision();
    int calls = 0;
    for (const std::string& call : probe.kernel.calls()) {
      ++calls;
      if (call.starts_with("unload_module")) break;
    }
    host_.kernel.fail_call(calls, EBUSY);
  }
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "check-failed");
  EXPECT_NE(status.message.find("undoing load failed"), std::string::npos) << status.message;
  EXPECT_EQ(status.image->version, "2.0");
  EXPECT_EQ(put_aside(status), "2.0 check-failed");
  EXPECT_EQ(host_.version_in_root(), "");
}

// Interruptions: the node went down while an image was loaded for the first time.

class Interrupted : public Rollback {
 protected:
  // The state as a crash leaves it.
  void crash_while_loading(const GpuImageOptions& options, uint64_t earlier = 0) {
    State state;
    KernelMemory& memory = state.kernels[test::kSampleKernel];
    memory.attempt = Attempt{options.version, gpu_root_hash(options), "the boot before", 1};
    if (earlier != 0) {
      memory.failed[gpu_root_hash(options)] = {options.version, "load-interrupted", "it went down", earlier, 1};
    }
    next_.write(kStateFile, format_state(state));
  }
  FakeGpuHost next_;  // as it comes up again
};

TEST_F(Interrupted, AttemptIsOnDiskBeforeTheFirstModuleIsLoaded) {
  const auto usual = host_.programs.answer;
  std::optional<Attempt> seen;
  host_.programs.answer = [&](const ProgramRequest& request) {
    seen = must(parse_state(test::read_whole(host_.path(kStateFile)))).of(test::kSampleKernel).attempt;
    return usual(request);
  };
  host_.provision();
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, (Attempt{"2.0", gpu_root_hash(kNew), test::kSampleBoot, test::kNow}));
  EXPECT_FALSE(memory_of(host_).attempt);  // it went well
}

TEST_F(Interrupted, AttemptOfAGoodImageIsNotedAndForgotten) {
  host_.provision();
  FakeGpuHost next;
  boot_from(host_, next);
  const std::string before = test::read_whole(next.path(kStateFile));
  const auto usual = next.programs.answer;
  std::optional<Attempt> seen;
  next.programs.answer = [&](const ProgramRequest& request) {
    seen = memory_of(next).attempt;
    return usual(request);
  };
  EXPECT_EQ(reason(next.provision()), "provisioned");
  EXPECT_TRUE(seen);
  EXPECT_EQ(test::read_whole(next.path(kStateFile)), before);
}

// A power cut while the driver was loading is no reason to go back to an older one; two in a row are.
TEST_F(Interrupted, GoodImageThatTakesTheNodeDownTwiceIsPutAside) {
  next_.store_image(kOld);
  next_.store_image(kNew);
  State state;
  KernelMemory& memory = state.kernels[test::kSampleKernel];
  memory.remember_good({test::kGpuDriver, "1.0", gpu_root_hash(kOld), 1});
  memory.remember_good({test::kGpuDriver, "2.0", gpu_root_hash(kNew), 2});
  memory.attempt = Attempt{"2.0", gpu_root_hash(kNew), "the boot before", 3};
  const State once = state;
  next_.write(kStateFile, format_state(once));
  EXPECT_EQ(next_.provision().image->version, "2.0");
  EXPECT_TRUE(memory_of(next_).failed.empty());  // it worked: forgotten

  FakeGpuHost again;
  again.store_image(kOld);
  again.store_image(kNew);
  memory.failed[gpu_root_hash(kNew)] = {"2.0", "load-interrupted", "it went down", 1, 3};
  again.write(kStateFile, format_state(state));
  const Status status = again.provision();
  EXPECT_EQ(status.image->version, "1.0") << status.message;
  EXPECT_TRUE(memory_of(again).failed.at(gpu_root_hash(kNew)).is_put_aside());
}

TEST_F(Interrupted, OtherImageIsUsedAfterACrash) {
  next_.store_image(kOld);
  next_.store_image(kNew);
  crash_while_loading(kNew);
  const Status status = next_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "1.0");
  EXPECT_EQ(put_aside(status), "2.0 load-interrupted");
  EXPECT_EQ(memory_of(next_).failed.at(gpu_root_hash(kNew)).attempts, 1U);
  EXPECT_FALSE(memory_of(next_).attempt);
}

TEST_F(Interrupted, InterruptionsAreCounted) {
  next_.store_image(kOld);
  next_.store_image(kNew);
  crash_while_loading(kNew, 1);
  next_.provision();
  EXPECT_EQ(memory_of(next_).failed.at(gpu_root_hash(kNew)).attempts, 2U);
}

TEST_F(Interrupted, AloneItIsTriedOnceMore) {
  next_.store_image(kNew);
  crash_while_loading(kNew);
  EXPECT_EQ(reason(next_.provision()), "provisioned");
}

TEST_F(Interrupted, TwiceAndItIsNotTriedEvenAlone) {
  next_.store_image(kNew);
  crash_while_loading(kNew, 1);
  const Status status = next_.provision();
  EXPECT_EQ(reason(status), "put-aside");
  EXPECT_EQ(put_aside(status), "2.0 load-interrupted");
  EXPECT_EQ(next_.kernel.side_effects(), 0);
  EXPECT_EQ(memory_of(next_).failed.at(gpu_root_hash(kNew)).attempts, 2U);
  EXPECT_FALSE(status.image);
  EXPECT_EQ(reason(next_.provision()), "put-aside");  // and no attempt is counted that was none
  EXPECT_EQ(memory_of(next_).failed.at(gpu_root_hash(kNew)).attempts, 2U);
}

TEST_F(Interrupted, CrashUnderAnotherKernelIsRememberedForThatOne) {
  next_.store_image(kNew);
  State state;
  state.kernels["6.6.6"].attempt = Attempt{"2.0", gpu_root_hash(kNew), "the boot before", 1};
  next_.write(kStateFile, format_state(state));
  EXPECT_EQ(reason(next_.provision()), "provisioned");
  EXPECT_EQ(next_.state().of("6.6.6").failed.at(gpu_root_hash(kNew)).reason, "load-interrupted");
}

TEST_F(Interrupted, CleanFailureAfterACrashCountsToo) {
  next_.store_image(kNew);
  crash_while_loading(kNew);
  next_.check_fails_for = "2.0";
  EXPECT_EQ(reason(next_.provision()), "check-failed");
  const FailedImage failed = memory_of(next_).failed.at(gpu_root_hash(kNew));
  EXPECT_EQ(failed.attempts, 2U);
  EXPECT_EQ(failed.reason, "check-failed");
}

TEST_F(Interrupted, ImageThatWorksAfterAllIsForgiven) {
  next_.store_image(kNew);
  crash_while_loading(kNew);
  EXPECT_EQ(reason(next_.provision()), "provisioned");
  EXPECT_TRUE(memory_of(next_).failed.empty());
  EXPECT_EQ(memory_of(next_).good.front().version, "2.0");
}

// The service was killed, the node stayed up: modules and mounts are as the first run left them.
TEST_F(Interrupted, ServiceThatWasKilledDoesNotSetTheRunningDriverAside) {
  host_.provision();
  State state;
  state.kernels[test::kSampleKernel].attempt = Attempt{"2.0", gpu_root_hash(kNew), test::kSampleBoot, 1};
  host_.write(kStateFile, format_state(state));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "2.0");
}

TEST_F(Interrupted, DescribingThePlanCountsNothing) {
  next_.store_image(kOld);
  next_.store_image(kNew);
  crash_while_loading(kNew);
  const std::string before = test::read_whole(next_.path(kStateFile));
  const std::string text = must(describe_plan(next_.host())).text;
  EXPECT_NE(text.find("load: testgpu 1.0"), std::string::npos) << text;
  EXPECT_EQ(test::read_whole(next_.path(kStateFile)), before);
}

}  // namespace
}  // namespace driverext
