// Each step fails once: what was done before it is undone, last first, and the rest is not begun.
#include "provisioner/execute.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.hpp"
#include "provisioner/state.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::flipped;
using test::KernelState;
using test::must;
using test::sample_bytes;

// "import done, verify done, ..." as the status lists them.
std::string steps(const Status& status) {
  std::string text;
  for (const StepReport& report : status.steps) {
    text += (text.empty() ? "" : ", ") + std::string(step_name(report.kind)) + " " +
            std::string(step_outcome_name(report.outcome));
  }
  return text;
}

using test::reason;

// The kind of each side effect, in order, without the names.
std::string call_kinds(const test::FakeKernel& kernel) {
  std::string text;
  for (const std::string& call : kernel.calls()) text += (text.empty() ? "" : " ") + call.substr(0, call.find(' '));
  return text;
}

class ExecuteTest : public ::testing::Test {
 protected:
  ExecuteTest() {
    host_.drop("testcam.raw", sample_bytes());
    host_.know_image(sample_bytes());
  }
  void SetUp() override {
    if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
  }
  void expect_kernel_untouched() {
    EXPECT_EQ(host_.kernel.state(), KernelState()) << test::to_text(host_.kernel.state());
  }
  FakeHost host_;
};

TEST_F(ExecuteTest, AllStepsInOrderEachReportedOnce) {
  const Status status = host_.provision();
  EXPECT_EQ(steps(status),
            "import done, verify done, attach done, load done, devices satisfied, check satisfied, commit done");
  EXPECT_EQ(host_.progress.begun,
            (std::vector<std::string>{"import", "verify", "attach", "load", "devices", "check", "commit"}));
  EXPECT_EQ(host_.progress.ended.size(), 7U);
  for (const StepReport& report : status.steps) EXPECT_FALSE(report.message.empty());
}

TEST_F(ExecuteTest, SideEffectsComeInTheOrderThatTheKernelNeeds) {
  host_.provision();
  EXPECT_EQ(call_kinds(host_.kernel),
            "load_module load_module load_module "               // loop, dm_mod, dm_verity
            "open_verity load_module mount "                     // squashfs, once it is known to be that
            "load_module load_module load_module load_module");  // mc, videodev, testcore, testcam
  EXPECT_EQ(host_.kernel.parameters().at("testcam"), "devices=1");
  EXPECT_EQ(host_.kernel.parameters().at("testcore"), "");
}

TEST_F(ExecuteTest, ImportThatCannotMoveAFileHoldsNothingUp) {
  host_.drop("bad.raw", "garbage");
  host_.write(kQuarantine, "a file where the directory should be");
  host_.write(kStore, "and another");
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_NE(status.steps[0].message.find("quarantine"), std::string::npos) << status.steps[0].message;
  EXPECT_EQ(status.image->path, host_.path("var/lib/driverext/inbox/testcam.raw"));  // used from where it lies
}

TEST_F(ExecuteTest, FailedVerifyTouchesNoKernel) {
  const std::string damaged = flipped(sample_bytes(), test::partitions_of(sample_bytes())[1].offset + 4096);
  host_.drop("testcam.raw", damaged);
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import done, verify failed");
  EXPECT_EQ(reason(status), "hash-tree-corrupt");
  EXPECT_EQ(host_.kernel.side_effects(), 0);
}

TEST_F(ExecuteTest, FailedAttachIsUndone) {
  host_.kernel.corrupt(test::Corruption::first_block);
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import done, verify done, attach failed");
  EXPECT_EQ(reason(status), "data-corrupt");
  expect_kernel_untouched();
}

TEST_F(ExecuteTest, FailedLoadUndoesLoadAndAttachLastFirst) {
  host_.kernel.add_module_file({"testcam", "aa01", {"testcore", "videodev", "no_such_symbol_provider"}});
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import done, verify done, attach undone, load failed");
  EXPECT_EQ(reason(status), "module-load-failed");
  EXPECT_NE(status.message.find("symbol"), std::string::npos) << status.message;
  const std::string calls = call_kinds(host_.kernel);
  EXPECT_NE(calls.find("unload_module unload_module unload_module unmount close_verity"), std::string::npos) << calls;
  expect_kernel_untouched();
}

TEST_F(ExecuteTest, FailedDevicesUnloadTheDriver) {
  host_.write("usr/lib/driverext/drivers/testcam.toml",
              "name = \"testcam\"\n[[module]]\nname = \"testcam\"\n[[device]]\nnode = \"/dev/none\"\nsysfs = "
              "\"/sys/class/none\"\n");
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import done, verify done, attach undone, load undone, devices failed");
  EXPECT_EQ(reason(status), "device-missing");
  expect_kernel_untouched();
  EXPECT_FALSE(test::exists(host_.path(test::kSampleNode)));
}

// A state that cannot be written, because the place of the temporary file is taken.
void take_place_of_state(const FakeHost& host) {
  host.write("var/lib/driverext/.state.json.new-" + std::to_string(::getpid()) + "/in-the-way", "x");
}

TEST_F(ExecuteTest, FailedCommitUndoesEverything) {
  // Known to be good, so that loading it needs no note; and put aside, which commit would take back.
  const std::string hash = test::signature_of(sample_bytes())["rootHash"];
  host_.write(std::string(kStore) + "/" + hash + "/testcam.raw", sample_bytes());
  must(host_.root().remove_file(std::string(kInbox) + "/testcam.raw"));
  State state;
  state.kernels[test::kSampleKernel].good = {{"testcam", "1.0", hash, 1}};
  state.kernels[test::kSampleKernel].failed[hash] = {"1.0", "check-failed", "once", 1, 1};
  host_.write(kStateFile, format_state(state));
  take_place_of_state(host_);
  const Status status = host_.provision();
  EXPECT_EQ(
      steps(status),
      "import satisfied, verify done, attach undone, load undone, devices satisfied, check satisfied, commit failed");
  EXPECT_EQ(reason(status), "step-failed");
  expect_kernel_untouched();
  EXPECT_EQ(test::read_whole(host_.path(kStateFile)), format_state(state));
}

// If the node went down, nothing would tell the next boot that it was this image.
TEST_F(ExecuteTest, NewImageIsNotLoadedIfItsAttemptCannotBeNoted) {
  take_place_of_state(host_);
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import done, verify done, attach undone, load failed");
  EXPECT_EQ(reason(status), "step-failed");
  for (const std::string& call : host_.kernel.calls()) EXPECT_EQ(call.find("testcam.ko"), std::string::npos) << call;
  expect_kernel_untouched();
  EXPECT_FALSE(test::exists(host_.path(kStateFile)));
}

TEST_F(ExecuteTest, StateThatCannotBeReadIsLeftAlone) {
  host_.write("var/lib/driverext/state.json/a-directory", "x");
  const Status status = host_.provision();
  EXPECT_EQ(status.steps.back().outcome, StepOutcome::failed);
  EXPECT_TRUE(test::exists(host_.path("var/lib/driverext/state.json/a-directory")));
  expect_kernel_untouched();
}

TEST_F(ExecuteTest, FailureToUndoIsToldBesideTheFirstFailure) {
  host_.kernel.add_module_file({"testcam", "aa01", {"no_such_symbol_provider"}});
  host_.provision();
  const int until_undo = host_.kernel.side_effects() - 9;  // undone: 3 modules, mount, device, 4 modules
  FakeHost again;
  again.drop("testcam.raw", sample_bytes());
  again.know_image(sample_bytes());
  again.kernel.add_module_file({"testcam", "aa01", {"no_such_symbol_provider"}});
  again.kernel.fail_call(until_undo + 4, EBUSY);  // the unmount
  const Status status = again.provision();
  EXPECT_EQ(reason(status), "module-load-failed");
  EXPECT_NE(status.message.find("undoing attach failed"), std::string::npos) << status.message;
  EXPECT_EQ(steps(status), "import done, verify done, attach done, load failed");
}

TEST_F(ExecuteTest, SatisfiedStepsAreNotUndone) {
  host_.provision();
  const KernelState provisioned = host_.kernel.state();
  host_.write("usr/lib/driverext/drivers/testcam.toml",
              "name = \"testcam\"\n[[module]]\nname = \"testcam\"\nparameters = \"devices=1\"\n[[device]]\nnode = "
              "\"/dev/none\"\nsysfs = "
              "\"/sys/class/none\"\n");
  const Status status = host_.provision();
  EXPECT_EQ(steps(status), "import satisfied, verify satisfied, attach satisfied, load satisfied, devices failed");
  EXPECT_EQ(host_.kernel.state(), provisioned);
}

}  // namespace
}  // namespace driverext
