// What shows that a driver works: each built-in check, with a driver that passes it and one that does not.
#include <gtest/gtest.h>

#include <cerrno>

#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::GpuImageOptions;
using test::reason;

constexpr const char* kDefinition = "usr/lib/driverext/drivers/testgpu.toml";

class BuiltinChecks : public ::testing::Test {
 protected:
  BuiltinChecks() { host_.drop_image(image_); }
  void want(const std::string& checks) {
    std::string text = test::read_whole(host_.path(kDefinition));
    const std::string head = "[check]\n";
    text.insert(text.find(head) + head.size(), "builtin = [" + checks + "]\n");
    host_.write(kDefinition, text);
  }
  void expect_failed(const std::string& words) {
    const test::KernelState before = host_.kernel.state();
    const Status status = host_.provision();
    EXPECT_EQ(reason(status), "check-failed") << status.message;
    EXPECT_NE(status.message.find(words), std::string::npos) << status.message;
    EXPECT_EQ(host_.kernel.state(), before) << test::to_text(host_.kernel.state());
    EXPECT_EQ(host_.version_in_root(), "");
  }
  FakeGpuHost host_;
  GpuImageOptions image_;
};

TEST_F(BuiltinChecks, DriverThatWorksPassesAllOfThem) {
  want("\"modules\", \"nodes\", \"versions\"");
  EXPECT_EQ(reason(host_.provision()), "provisioned");
}

TEST_F(BuiltinChecks, ModuleThatIsNotLiveFails) {
  host_.change_module(image_, [](test::FakeModuleFile& file) { file.state = "coming"; });
  expect_failed("is coming, not live");
}

TEST_F(BuiltinChecks, NodeThatNobodyAnswersFails) {
  want("\"nodes\"");
  host_.kernel.refuse_to_open(host_.path("dev/testgpuctl"), ENODEV);
  expect_failed("testgpuctl");
}

TEST_F(BuiltinChecks, OneBrokenDeviceOfSeveralLeavesTheDriverToTheOthers) {
  want("\"nodes\"");
  host_.kernel.refuse_to_open(host_.path("dev/testgpu0"), EIO);
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  bool told = false;
  for (const StepReport& step : status.steps) told = told || step.message.find("testgpu0") != std::string::npos;
  EXPECT_TRUE(told);
}

TEST_F(BuiltinChecks, OtherVersionOfTheLoadedModuleFails) {
  want("\"versions\"");
  host_.change_module(image_, [](test::FakeModuleFile& file) { file.version = "9.9"; });
  expect_failed("9.9");
}

TEST_F(BuiltinChecks, NoneAreMadeIfNoneAreWanted) {
  want("");
  host_.change_module(image_, [](test::FakeModuleFile& file) { file.state = "coming"; });
  host_.kernel.refuse_to_open(host_.path("dev/testgpuctl"), ENODEV);
  EXPECT_EQ(reason(host_.provision()), "provisioned");
}

TEST_F(BuiltinChecks, CommandGetsNoMoreTimeThanTheBootHas) {
  Host given = host_.host();
  given.deadline_usec = monotonic_usec() + 20'000'000;
  EXPECT_EQ(reason(provision(given, host_.progress)), "provisioned");
  for (const ProgramRequest& request : host_.programs.requests) {
    if (request.argv.front() != "tool") continue;
    EXPECT_LE(request.timeout_sec, 20U);
  }
}

}  // namespace
}  // namespace driverext
