// Every call to the kernel and every program of the host fails once in turn, over a driver with all there is.
#include <gtest/gtest.h>

#include <cerrno>

#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::KernelState;

// Fresh, or as it is when modules and engines were there before; one image, or its two halves.
struct Situation {
  const char* name;
  void (*prepare)(FakeGpuHost&);
};

const Situation kSituations[] = {
    {"FreshBoot", [](FakeGpuHost& host) { host.drop_image(); }},
    {"Halves", [](FakeGpuHost& host) { host.drop_halves(); }},
    {"EnginesAndMerge",
     [](FakeGpuHost& host) {
       host.drop_image();
       host.install_engines();
       host.configure("[host]\nmerge = true\n");
     }},
};

void PrintTo(const Situation& situation, std::ostream* out) { *out << situation.name; }

class EveryGpuCallFailsOnce : public ::testing::TestWithParam<Situation> {
 protected:
  static void prepare(FakeGpuHost& host) { GetParam().prepare(host); }
  void SetUp() override {
    FakeGpuHost host;
    prepare(host);
    const Status status = host.provision();
    ASSERT_EQ(status.reason, Reason::provisioned) << status.message;
    side_effects_ = host.kernel.side_effects();
    questions_ = host.kernel.questions();
    programs_ = static_cast<int>(host.programs.commands.size());
    ASSERT_GT(side_effects_, 15);
    ASSERT_GT(questions_, 15);
    ASSERT_GT(programs_, 1);
  }

  template <class Fail>
  static void expect_undone(int n, const Fail& fail) {
    SCOPED_TRACE(n);
    FakeGpuHost host;
    prepare(host);
    const KernelState kernel = host.kernel.state();
    const auto files = host.files();
    fail(host);
    const Status status = host.provision();
    EXPECT_NE(status.reason, Reason::provisioned);
    EXPECT_FALSE(status.message.empty());
    EXPECT_EQ(status.message.find("undoing"), std::string::npos) << status.message;
    ASSERT_FALSE(status.steps.empty());
    EXPECT_EQ(status.steps.back().outcome, StepOutcome::failed);
    EXPECT_EQ(host.kernel.state(), kernel) << status.message << "\n" << test::to_text(host.kernel.state());
    EXPECT_EQ(host.files(), files) << status.message;
    EXPECT_TRUE(host.state().of(test::kSampleKernel).good.empty());
    EXPECT_FALSE(host.state().of(test::kSampleKernel).attempt);

    // And nothing stands in the way of the next attempt.
    host.kernel.forget_calls();
    const Status next = host.provision();
    EXPECT_EQ(next.reason, Reason::provisioned) << next.message;
    EXPECT_TRUE(host.state().of(test::kSampleKernel).failed.empty());
  }

  int side_effects_ = 0;
  int questions_ = 0;
  int programs_ = 0;
};

TEST_P(EveryGpuCallFailsOnce, SideEffectsThatFailLeaveNothingBehind) {
  for (const int error : {EIO, EBUSY, EPERM}) {
    SCOPED_TRACE(error);
    for (int n = 1; n <= side_effects_; ++n) {
      expect_undone(n, [&](FakeGpuHost& host) { host.kernel.fail_call(n, error); });
    }
  }
}

TEST_P(EveryGpuCallFailsOnce, QuestionsThatFailLeaveNothingBehind) {
  for (int n = test::kQuestionsOfTheSurvey + 1; n <= questions_; ++n) {
    expect_undone(n, [&](FakeGpuHost& host) { host.kernel.fail_question(n, EIO); });
  }
}

TEST_P(EveryGpuCallFailsOnce, ProgramsThatFailLeaveNothingBehind) {
  for (int n = 1; n <= programs_; ++n) {
    expect_undone(n, [&](FakeGpuHost& host) { host.programs.fail_run(n); });
  }
}

INSTANTIATE_TEST_SUITE_P(GpuProvision, EveryGpuCallFailsOnce, ::testing::ValuesIn(kSituations),
                         [](const auto& situation) { return std::string(situation.param.name); });

}  // namespace
}  // namespace driverext
