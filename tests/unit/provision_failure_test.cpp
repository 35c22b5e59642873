// Every call to the kernel fails once in turn, and the kernel must end exactly as it began.
#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>

#include "base/json.hpp"
#include "provisioner/state.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::KernelState;
using test::sample_bytes;

struct Situation {
  const char* name;
  void (*prepare)(FakeHost&);
};

// What may be there already when a provision begins.
const Situation kSituations[] = {
    {"FreshBoot", [](FakeHost&) {}},
    {"EverythingBuiltIn",
     [](FakeHost& host) {
       for (const char* name : {"loop", "dm_verity", "squashfs", "videodev"}) {
         host.kernel.build_in(name);
         host.host_modules.add(name, {});
       }
     }},
    {"SomeModulesLoadedByOthers",
     [](FakeHost& host) {
       for (const char* name : {"loop", "dm_mod", "mc"}) host.kernel.place_module(name, "bb-" + std::string(name));
     }},
    {"DeviceThereButNotMounted",
     [](FakeHost& host) {
       for (const char* name : {"loop", "dm_mod", "dm_verity", "squashfs"})
         host.kernel.place_module(name, "bb-" + std::string(name));
       const std::string hash = test::signature_of(sample_bytes())["rootHash"];
       host.place_device("driverext-" + hash, sample_bytes());
     }},
};

void PrintTo(const Situation& situation, std::ostream* out) { *out << situation.name; }

void prepare(FakeHost& host, const Situation& situation) {
  host.drop("testcam.raw", sample_bytes());
  host.know_image(sample_bytes());
  situation.prepare(host);
}

class EveryCallFailsOnce : public ::testing::TestWithParam<Situation> {
 protected:
  void SetUp() override {
    if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
    FakeHost host;
    prepare(host, GetParam());
    const Status status = host.provision();
    ASSERT_EQ(status.reason, Reason::provisioned) << status.message;
    side_effects_ = host.kernel.side_effects();
    questions_ = host.kernel.questions();
    ASSERT_GT(side_effects_, 0);
    ASSERT_GT(questions_, 0);
  }

  template <class Fail>
  void expect_undone(int n, const Fail& fail) {
    SCOPED_TRACE(n);
    FakeHost host;
    prepare(host, GetParam());
    const KernelState before = host.kernel.state();
    fail(host.kernel);
    const Status status = host.provision();
    EXPECT_NE(status.reason, Reason::provisioned);
    EXPECT_FALSE(status.message.empty());
    EXPECT_EQ(status.message.find("undoing"), std::string::npos) << status.message;
    ASSERT_FALSE(status.steps.empty());
    EXPECT_EQ(status.steps.back().outcome, StepOutcome::failed);
    for (const StepReport& step : status.steps) {
      // Import and verify stay: what is verified is where it belongs.
      const bool stays = step.kind == StepKind::import || step.kind == StepKind::verify;
      EXPECT_TRUE(stays || step.outcome != StepOutcome::done) << step_name(step.kind);
    }
    EXPECT_EQ(host.kernel.state(), before) << test::to_text(host.kernel.state());
    EXPECT_FALSE(test::exists(host.path(test::kSampleNode)));
    // At most that the image failed is remembered.
    const State state = StateFile::read(host.root()).state();
    EXPECT_TRUE(state.of(test::kSampleKernel).good.empty());
    EXPECT_FALSE(state.of(test::kSampleKernel).attempt);
    expect_no_mount_point(host);

    // And nothing stands in the way of the next attempt.
    host.kernel.forget_calls();
    const Status next = host.provision();
    EXPECT_EQ(next.reason, Reason::provisioned) << next.message;
  }

  static void expect_no_mount_point(const FakeHost& host) {
    EXPECT_TRUE(test::must(host.root().list("run/driverext/mounts")).empty());
  }

  int side_effects_ = 0;
  int questions_ = 0;
};

TEST_P(EveryCallFailsOnce, SideEffectsThatFailLeaveNothingBehind) {
  for (const int error : {EIO, EBUSY, EPERM}) {
    SCOPED_TRACE(error);
    for (int n = 1; n <= side_effects_; ++n) {
      expect_undone(n, [&](test::FakeKernel& kernel) { kernel.fail_call(n, error); });
    }
  }
}

TEST_P(EveryCallFailsOnce, QuestionsThatFailLeaveNothingBehind) {
  for (int n = test::kQuestionsOfTheSurvey + 1; n <= questions_; ++n) {
    expect_undone(n, [&](test::FakeKernel& kernel) { kernel.fail_question(n, EIO); });
  }
}

INSTANTIATE_TEST_SUITE_P(Provision, EveryCallFailsOnce, ::testing::ValuesIn(kSituations),
                         [](const auto& situation) { return std::string(situation.param.name); });

// An undo that fails too: the failure that came first is the one that is told.
TEST(SecondFailure, FirstFailureKeepsItsReason) {
  if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
  for (int n = 1; n <= 9; ++n) {
    FakeHost host;
    prepare(host, kSituations[0]);
    host.kernel.add_module_file({"testcam", "aa01", {"no_such_symbol_provider"}});
    host.kernel.fail_call(10 + n, EBUSY);  // ten calls up to the refused module, then the undoing
    const Status status = host.provision();
    EXPECT_EQ(status.reason, Reason::module_load_failed) << status.message;
  }
}

}  // namespace
}  // namespace driverext
