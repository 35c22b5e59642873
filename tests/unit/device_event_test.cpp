// What is done after the boot when devices come, go or change.
#include "provisioner/device_event.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

class DeviceEvents : public ::testing::Test {
 protected:
  DeviceEvents() { host_.drop_image(); }
  DeviceEvent reconcile() { return must(reconcile_devices(host_.root(), host_.kernel, -1)); }
  [[nodiscard]] bool has(const std::string& name) { return host_.kernel.state().nodes.contains(host_.path(name)); }
  void gpu(const std::string& address, unsigned minor) {
    host_.write("proc/driver/testgpu/gpus/" + address + "/information",
                "GPU UUID: GPU-cccc\nDevice Minor: " + std::to_string(minor) + "\n");
  }
  test::FakeGpuHost host_;
};

TEST_F(DeviceEvents, NothingIsDoneWithoutAProvision) {
  gpu("0000:91:00.0", 2);
  const auto files = host_.files();
  EXPECT_FALSE(reconcile().is_ours);
  EXPECT_EQ(host_.files(), files);
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
}

TEST_F(DeviceEvents, NothingIsDoneWhenNothingChanged) {
  host_.provision();
  const auto listing = test::listing(host_.path(""));
  host_.kernel.forget_calls();
  const DeviceEvent event = reconcile();
  EXPECT_TRUE(event.is_ours);
  EXPECT_EQ(event.changes, 0U);
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
  EXPECT_EQ(test::listing(host_.path("")), listing);
}

TEST_F(DeviceEvents, NodesFollowTheDevices) {
  host_.provision();
  gpu("0000:91:00.0", 2);
  EXPECT_EQ(reconcile().changes, 1U);
  EXPECT_TRUE(has("dev/testgpu2"));
  std::filesystem::remove_all(host_.path("proc/driver/testgpu/gpus/0000:91:00.0"));
  EXPECT_EQ(reconcile().changes, 1U);
  EXPECT_FALSE(has("dev/testgpu2"));
  EXPECT_TRUE(has("dev/testgpu0") && has("dev/testgpu1"));
}

TEST_F(DeviceEvents, NodesOfTheLastDeviceGoToo) {
  host_.provision();
  std::filesystem::remove_all(host_.path("proc/driver/testgpu/gpus"));
  const DeviceEvent event = reconcile();
  EXPECT_EQ(event.changes, 2U);
  EXPECT_FALSE(has("dev/testgpu0") || has("dev/testgpu1"));
  EXPECT_TRUE(has("dev/testgpuctl"));
  EXPECT_NE(event.remark.find("shows no device"), std::string::npos) << event.remark;
}

// By hand: its number may be another driver's tomorrow.
TEST_F(DeviceEvents, NodesOfModulesThatAreGoneGo) {
  host_.provision();
  must(host_.kernel.unload_module("testgpu_uvm"));
  EXPECT_EQ(reconcile().changes, 1U);
  EXPECT_FALSE(has("dev/testgpu-uvm"));
  EXPECT_TRUE(has("dev/testgpu0"));
  must(host_.kernel.unload_module("testgpu"));
  reconcile();
  EXPECT_TRUE(host_.kernel.state().nodes.empty()) << test::to_text(host_.kernel.state());
}

TEST_F(DeviceEvents, NodesOfOthersAreLeftToThemAlsoOnceTheDriverIsGone) {
  host_.kernel.add_report("testgpu", "proc/driver/testgpu/params", "ModifyDeviceFiles: 0\n");
  host_.kernel.place_node(host_.path("dev/testgpuctl"), {195, 255, 0600, 1, 1});
  host_.kernel.place_node(host_.path("dev/testgpu0"), {195, 0, 0600, 1, 1});
  host_.kernel.place_node(host_.path("dev/testgpu1"), {195, 1, 0600, 1, 1});
  host_.kernel.place_node(host_.path("dev/testgpu-uvm"), {238, 0, 0600, 1, 1});
  ASSERT_EQ(host_.provision().reason, Reason::provisioned);
  for (const char* name : {"testgpu_uvm", "testgpu"}) must(host_.kernel.unload_module(name));
  EXPECT_FALSE(reconcile().is_ours);
  EXPECT_EQ(host_.kernel.state().nodes.size(), 4U);
}

TEST_F(DeviceEvents, WhatFailsIsTakenBack) {
  host_.provision();
  gpu("0000:91:00.0", 2);
  gpu("0000:92:00.0", 3);
  const test::KernelState before = host_.kernel.state();
  const auto files = host_.files();
  host_.kernel.forget_calls();
  host_.kernel.fail_call(2, EIO);
  EXPECT_FALSE(reconcile_devices(host_.root(), host_.kernel, -1));
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_EQ(host_.files(), files);
}

// The rule that starts all this asks for these names.
TEST_F(DeviceEvents, ModulesThatAreWatchedAreThoseOfTheDriver) {
  host_.provision();
  EXPECT_EQ(must(host_.root().list("run/driverext/watched")), (std::vector<std::string>{"testgpu", "testgpu_uvm"}));
  EXPECT_NE(test::source_file("units/60-driverext.rules").find("TEST==\"/run/driverext/watched/%k\""),
            std::string::npos);
  EXPECT_NE(test::source_file("units/driverext-devices.service").find("ConditionPathExists=/run/driverext/watched"),
            std::string::npos);
}

}  // namespace
}  // namespace driverext
