// One driver root takes the place of another: after an update without a reboot, after a crash, and back again.
#include "provisioner/driver_root.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::KernelState;
using test::must;
using test::reason;
using test::verdict;

const test::GpuImageOptions kOld;  // 1.0
const test::GpuImageOptions kNew = {.version = "1.1", .created = 1'700'000'100};

// Provisioned with 1.0, whose modules were unloaded since; 1.1 came.
class DriverRootUpdate : public ::testing::Test {
 protected:
  static void prepare(FakeGpuHost& host) {
    host.drop_image(kOld);
    ASSERT_EQ(reason(host.provision()), "provisioned");
    must(host.kernel.unload_module("testgpu_uvm"));
    must(host.kernel.unload_module("testgpu"));
    host.drop_image(kNew);
    host.kernel.forget_calls();
  }
  void SetUp() override { prepare(host_); }
  [[nodiscard]] size_t devices() const { return host_.kernel.state().devices.size(); }
  FakeGpuHost host_;
};

std::string report_of(const Status& status, StepKind kind) {
  const auto found =
      std::find_if(status.steps.begin(), status.steps.end(), [&](const StepReport& step) { return step.kind == kind; });
  return found == status.steps.end() ? "" : found->message;
}

// One tree of five mounts at the place, nothing aside.
void expect_one_root(const FakeGpuHost& host) {
  const KernelState& state = host.kernel.state();
  const std::string place = host.path(test::kGpuRoot);
  EXPECT_EQ(std::count_if(state.mounts.begin(), state.mounts.end(),
                          [&](const auto& mount) { return mount.first.starts_with(place); }),
            5)
      << test::to_text(state);
  EXPECT_TRUE(state.beneath.empty()) << test::to_text(state);
  EXPECT_TRUE(must(host.root().list("run/driverext/roots")).empty());
}

TEST_F(DriverRootUpdate, NewRootGoesBeneathTheOldOne) {
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(host_.kernel.placings(), (std::vector<Placing>{Placing::first, Placing::beneath}));
  EXPECT_EQ(host_.version_in_root(), "1.1");
  EXPECT_EQ(report_of(status, StepKind::root).find("for a moment"), std::string::npos);
  expect_one_root(host_);
}

TEST_F(DriverRootUpdate, WithoutBeneathItIsSwappedAndThatIsTold) {
  host_.kernel.forget_beneath();
  const Status status = host_.provision();
  EXPECT_EQ(host_.kernel.placings().back(), Placing::swapped);
  EXPECT_EQ(host_.version_in_root(), "1.1");
  EXPECT_NE(report_of(status, StepKind::root).find("for a moment"), std::string::npos);
  expect_one_root(host_);
}

TEST_F(DriverRootUpdate, OldImageIsReleased) {
  ASSERT_EQ(devices(), 1U);
  host_.provision();
  EXPECT_EQ(devices(), 1U) << test::to_text(host_.kernel.state());
  EXPECT_EQ(must(host_.root().list("run/driverext/mounts")), std::vector<std::string>{test::gpu_root_hash(kNew)});
}

TEST_F(DriverRootUpdate, OldImageStaysUntilItsLastUserIsGone) {
  host_.kernel.hold_image(test::gpu_root_hash(kOld));
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(devices(), 2U) << "somebody has a library of it open";
  host_.kernel.let_go_of_image(test::gpu_root_hash(kOld));
  EXPECT_EQ(devices(), 1U) << test::to_text(host_.kernel.state());
}

TEST_F(DriverRootUpdate, ImageOfAnAcquisitionAtWorkIsLeftAlone) {
  const std::string builder = "run/driverext/mounts/" + std::string(64, 'a');
  must(host_.root().make_dirs(builder, 0755));
  host_.kernel.place_mount(host_.path(builder));
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_TRUE(host_.kernel.state().mounts.contains(host_.path(builder)));
}

TEST_F(DriverRootUpdate, ImageThatTheHostsUsrShowsIsLeftAlone) {
  must(host_.root().make_link("../driverext/mounts/" + test::gpu_root_hash(kOld), "run/extensions/other"));
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(devices(), 2U);
}

TEST_F(DriverRootUpdate, FailedCheckPutsTheOldRootBack) {
  host_.check_fails_for = "1.1";
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "1.0");
  EXPECT_EQ(host_.version_in_root(), "1.0");
  EXPECT_EQ(host_.kernel.placings(), (std::vector<Placing>{Placing::first, Placing::beneath, Placing::beneath}));
  expect_one_root(host_);
  EXPECT_EQ(devices(), 1U) << test::to_text(host_.kernel.state());
}

// Whatever fails, there is one whole root, of the image that is reported.
TEST_F(DriverRootUpdate, EveryFailureLeavesOneWholeRoot) {
  host_.provision();
  const int side_effects = host_.kernel.side_effects();
  ASSERT_GT(side_effects, 10);
  for (int n = 1; n <= side_effects; ++n) {
    SCOPED_TRACE(n);
    FakeGpuHost host;
    prepare(host);
    host.kernel.fail_call(n, EIO);
    const Status status = host.provision();
    EXPECT_EQ(status.message.find("undoing"), std::string::npos) << status.message;
    EXPECT_EQ(host.version_in_root(), status.reason == Reason::provisioned ? status.image->version : "1.0");
    expect_one_root(host);
  }
}

// The root by itself, over an image that is mounted in "img".
class DriverRootPlaced : public ::testing::Test {
 protected:
  DriverRootPlaced() {
    host_.write("img/usr/bin/tool", "a program");
    host_.write("img/usr/lib/driverext/manifest.json", "of the new one");
  }
  [[nodiscard]] DriverRoot made() {
    return {host_.root(), host_.kernel, host_.programs, "img", std::string(64, 'a'), test::kGpuRoot};
  }
  void place_old() { host_.kernel.place_root(host_.path(test::kGpuRoot), {{"usr/bin/tool", "an old program"}}); }
  [[nodiscard]] std::string tool() const {
    return test::read_whole(host_.path(std::string(test::kGpuRoot) + "/usr/bin/tool"));
  }
  FakeGpuHost host_;
};

TEST_F(DriverRootPlaced, EveryCallThatFailsLeavesTheOldOneAsItWas) {
  for (const bool is_update : {false, true}) {
    for (const bool has_beneath : {true, false}) {
      for (int n = 1;; ++n) {
        SCOPED_TRACE(n);
        FakeGpuHost host;
        host.write("img/usr/bin/tool", "a program");
        if (!has_beneath) host.kernel.forget_beneath();
        if (is_update) host.kernel.place_root(host.path(test::kGpuRoot), {{"usr/bin/tool", "an old program"}});
        const KernelState kernel = host.kernel.state();
        const auto files = host.files();
        DriverRoot root(host.root(), host.kernel, host.programs, "img", std::string(64, 'a'), test::kGpuRoot);
        host.kernel.fail_call(n, EPERM);
        const bool is_placed = static_cast<bool>(root.build_and_place());
        host.kernel.fail_call(1'000'000, EPERM);  // none of undo's
        must(root.undo());
        EXPECT_EQ(host.kernel.state(), kernel) << test::to_text(host.kernel.state());
        EXPECT_EQ(host.files(), files);
        if (!is_placed) continue;
        EXPECT_GT(n, 7);
        break;
      }
    }
  }
}

TEST_F(DriverRootPlaced, RootsThatRunsThatWereKilledLeftAreAllReplaced) {
  place_old();
  host_.kernel.place_root(host_.path(test::kGpuRoot), {{"usr/bin/tool", "a newer program"}});
  ASSERT_EQ(must(find_driver_root(host_.kernel, host_.root(), test::kGpuRoot))->stacked, 2U);
  EXPECT_EQ(must(made().build_and_place()), Placing::beneath);
  EXPECT_EQ(tool(), "a program");
  expect_one_root(host_);
}

TEST_F(DriverRootPlaced, WhatAKilledRunLeftAsideOfAnyImageGoes) {
  for (const char* name : {"x", "y"})
    host_.kernel.place_root(host_.path("run/driverext/roots/") + name, {{"usr/a", "a"}});
  host_.kernel.place_root(host_.path("run/driverext/roots/y"), {});
  EXPECT_EQ(must(made().build_and_place()), Placing::first);
  expect_one_root(host_);
}

TEST_F(DriverRootPlaced, ForeignMountsAreNeverTouched) {
  const std::string place = host_.path(test::kGpuRoot);
  must(host_.root().make_dirs(test::kGpuRoot, 0755));
  host_.kernel.place_mount(place);
  const KernelState kernel = host_.kernel.state();
  DriverRoot root = made();
  const auto result = root.build_and_place();
  EXPECT_EQ(verdict(result), "conflict/mount-conflict");
  EXPECT_NE(test::message(result).find(place), std::string::npos) << test::message(result);
  must(root.undo());
  EXPECT_EQ(host_.kernel.state(), kernel);
  EXPECT_EQ(verdict(remove_driver_root(host_.kernel, host_.root(), test::kGpuRoot)), "conflict/mount-conflict");
  EXPECT_EQ(host_.kernel.state(), kernel);
}

TEST_F(DriverRootPlaced, ForeignMountUnderOneOfOursIsNotCovered) {
  const std::string place = host_.path(test::kGpuRoot);
  must(host_.root().make_dirs(test::kGpuRoot, 0755));
  host_.kernel.place_mount(place);
  place_old();
  DriverRoot root = made();
  EXPECT_EQ(verdict(root.build_and_place()), "conflict/mount-conflict");
  must(root.undo());
  EXPECT_TRUE(host_.kernel.state().mounts.contains(place));
}

TEST_F(DriverRootPlaced, RemovingItLeavesNothing) {
  const KernelState kernel = host_.kernel.state();
  {
    DriverRoot root = made();
    must(root.build_and_place());
  }
  place_old();
  must(remove_driver_root(host_.kernel, host_.root(), test::kGpuRoot));
  EXPECT_EQ(host_.kernel.state(), kernel) << test::to_text(host_.kernel.state());
  must(remove_driver_root(host_.kernel, host_.root(), test::kGpuRoot));  // none there is fine
}

// The files by which others see that the driver is there.
class Contract : public ::testing::Test {
 protected:
  Contract() {
    const std::string name = "usr/lib/driverext/drivers/testgpu.toml";
    std::string text = test::read_whole(host_.path(name));
    const std::string more =
        "[[root.contract]]\nfile = \"/run/testgpu/validations/ready\"\ntext = \"ROOT={root}\\nVERSION={version}\\n\"\n"
        "[[root.contract]]\nfile = \"/run/testgpu/state\"\ntext = \"up\\n\"\n";
    text.insert(text.find("[check]"), more);
    host_.write(name, text);
    host_.drop_image();
  }
  [[nodiscard]] std::string ready() const {
    return must(host_.root().read_if_there("run/testgpu/validations/ready", 4096)).value_or("no file");
  }
  FakeGpuHost host_;
};

TEST_F(Contract, FilesAreWrittenOnRequestOnly) {
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(ready(), "no file");
  host_.configure("[host]\ncontract = true\n");
  Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(ready(), "ROOT=/run/testgpu/driver\nVERSION=1.0\n");
  EXPECT_NE(test::steps_text(status).find("contract done"), std::string::npos) << test::steps_text(status);
  const auto files = test::listing(host_.path("run/testgpu/validations"));
  status = host_.provision();
  EXPECT_NE(test::steps_text(status).find("contract satisfied"), std::string::npos) << test::steps_text(status);
  EXPECT_EQ(test::listing(host_.path("run/testgpu/validations")), files);
}

TEST_F(Contract, NothingIsSaidOfADriverThatFailsItsCheck) {
  host_.configure("[host]\ncontract = true\n");
  host_.check_fails_for = "1.0";
  EXPECT_EQ(reason(host_.provision()), "check-failed");
  EXPECT_EQ(ready(), "no file");
}

TEST_F(Contract, WhatWasThereBeforeIsThereAgainWhenItFails) {
  host_.configure("[host]\ncontract = true\n");
  host_.write("run/testgpu/validations/ready", "of somebody else");
  must(host_.root().make_dirs("run/testgpu/state", 0755));  // in the way
  EXPECT_EQ(reason(host_.provision()), "root-failed");
  EXPECT_EQ(ready(), "of somebody else");
}

}  // namespace
}  // namespace driverext
