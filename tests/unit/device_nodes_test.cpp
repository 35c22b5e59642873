// What a driver reports of its device nodes, in the format of real kernels.
#include "driver/device_nodes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "driver/proc_files.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;

constexpr const char* kProcDevices =
    "Character devices:\n"
    "  1 mem\n"
    "  4 /dev/vc/0\n"
    "  4 tty\n"
    "195 gpu\n"
    "195 gpuctl\n"
    "231 infiniband_verbs\n"
    "238 gpu-uvm\n"
    "241 gpu-caps\n"
    "244 infiniband_verbs\n"
    "511 two words\n"
    "\n"
    "Block devices:\n"
    "  7 loop\n"
    "195 gpu-block\n"
    "253 device-mapper\n";

TEST(ProcDevices, NamesAreComparedWhole) {
  const auto found = parse_proc_devices(kProcDevices);
  EXPECT_EQ(found.at("gpu"), 195U);
  EXPECT_EQ(found.at("gpuctl"), 195U);
  EXPECT_EQ(found.at("gpu-uvm"), 238U);
  EXPECT_EQ(found.at("two words"), 511U);
  for (const char* name : {"gp", "gpu-", "uvm", "gpu-uv", "two", " gpu"}) EXPECT_FALSE(found.contains(name)) << name;
}

TEST(ProcDevices, FirstOfSeveralMajorsCounts) {
  EXPECT_EQ(parse_proc_devices(kProcDevices).at("infiniband_verbs"), 231U);
}

TEST(ProcDevices, BlockDevicesAreNotCharacterDevices) {
  const auto found = parse_proc_devices(kProcDevices);
  for (const char* name : {"loop", "gpu-block", "device-mapper"}) EXPECT_FALSE(found.contains(name)) << name;
  EXPECT_TRUE(parse_proc_devices("Block devices:\n  7 loop\n").empty());
}

TEST(ProcDevices, LinesThatSayNothingAreDropped) {
  EXPECT_TRUE(parse_proc_devices("").empty());
  EXPECT_TRUE(parse_proc_devices("195 before-any-heading\n").empty());
  EXPECT_EQ(parse_proc_devices("Character devices:\n\nx gpu\n195\n-1 gpu\n0x10 gpu\n99999999999 gpu\n").size(), 0U);
  EXPECT_EQ(parse_proc_devices("Character devices:\n195 no-line-end").at("no-line-end"), 195U);
}

TEST(KeyValues, BlanksAroundBothAreDropped) {
  const auto found = parse_key_values(
      "Model: \t\t Test GPU\n"
      "Bus Location: \t 0000:00:06.0\n"
      "Device Minor: \t 1\n"
      "Empty:\n"
      "no colon here\n"
      "Device Minor: \t 7\n"
      "RegistryDwords: \"\"\n");
  EXPECT_EQ(found.at("Model"), "Test GPU");
  EXPECT_EQ(found.at("Bus Location"), "0000:00:06.0");  // only the first colon parts key and value
  EXPECT_EQ(found.at("Device Minor"), "1");             // the first of a key counts
  EXPECT_EQ(found.at("Empty"), "");
  EXPECT_EQ(found.at("RegistryDwords"), "\"\"");
  EXPECT_EQ(found.size(), 5U);
}

// Two GPUs whose minors do not follow the order of their addresses.
class ReportedNodes : public ::testing::Test {
 protected:
  ReportedNodes() {
    write("proc/devices", kProcDevices);
    gpu("0000:06:00.0", "Device Minor: \t 1\nGPU UUID: \t GPU-aaaa\n");
    gpu("0000:81:00.0", "Device Minor: \t 0\nGPU UUID: \t GPU-bbbb\n");
    DefinedNode control;
    control.node = "dev/gpuctl";
    control.registered_as = {"gpu", "gpu-frontend"};
    control.minor = 255;
    control.permissions = "proc/driver/gpu/params";
    DefinedNode each;
    each.node = "dev/gpu{minor}";
    each.registered_as = {"gpu", "gpu-frontend"};
    each.each = "proc/driver/gpu/gpus/*/information";
    each.minor_key = "Device Minor";
    each.name_keys = {"GPU UUID"};
    each.permissions = "proc/driver/gpu/params";
    definition_.nodes = {control, each};
  }
  void write(const std::string& name, const std::string& text) { test::write_file(root_ / name, text); }
  void gpu(const std::string& address, const std::string& text) {
    write("proc/driver/gpu/gpus/" + address + "/information", text);
  }
  // "dev/gpu1 195:1 666 0:0 (0 GPU-aaaa)", one after the other.
  std::string nodes() {
    std::string text;
    for (const ReportedNode& reported : must(read_reported_nodes(root_.dir(), definition_))) {
      const DeviceNode& node = reported.node;
      std::array<char, 64> numbers{};
      std::snprintf(numbers.data(), numbers.size(), " %u:%u %o %u:%u", node.major, node.minor, node.mode, node.owner,
                    node.group);
      text += (text.empty() ? "" : ", ") + reported.path + numbers.data();
      for (const std::string& name : reported.names) text += " " + name;
      if (!reported.may_make) text += " not-ours";
    }
    return text;
  }
  std::string outcome() { return verdict(read_reported_nodes(root_.dir(), definition_)); }

  TempDir root_;
  Definition definition_;
};

TEST_F(ReportedNodes, MinorsComeFromTheDriverNotFromTheOrderOfAddresses) {
  EXPECT_EQ(nodes(),
            "dev/gpuctl 195:255 666 0:0, dev/gpu1 195:1 666 0:0 0 GPU-aaaa, dev/gpu0 195:0 666 0:0 1 GPU-bbbb");
}

TEST_F(ReportedNodes, ModeIsADecimalNumber) {
  write("proc/driver/gpu/params", "DeviceFileUID: 7\nDeviceFileGID: 44\nDeviceFileMode: 432\n");
  EXPECT_EQ(nodes(),
            "dev/gpuctl 195:255 660 7:44, dev/gpu1 195:1 660 7:44 0 GPU-aaaa, dev/gpu0 195:0 660 7:44 1 GPU-bbbb");
}

TEST_F(ReportedNodes, ModeHasPermissionBitsOnly) {
  write("proc/driver/gpu/params", "DeviceFileMode: 4294967295\n");
  EXPECT_TRUE(nodes().starts_with("dev/gpuctl 195:255 777 0:0,")) << nodes();
}

TEST_F(ReportedNodes, WhatTheParametersDoNotSayKeepsItsDefault) {
  write("proc/driver/gpu/params", "ResmanDebugLevel: 4294967295\nDeviceFileMode: rw\nDeviceFileUID: -1\n");
  EXPECT_TRUE(nodes().starts_with("dev/gpuctl 195:255 666 0:0,")) << nodes();
}

TEST_F(ReportedNodes, DriverCanBeToldToLeaveDeviceFilesAlone) {
  write("proc/driver/gpu/params", "ModifyDeviceFiles: 0\n");
  EXPECT_EQ(nodes(),
            "dev/gpuctl 195:255 666 0:0 not-ours, dev/gpu1 195:1 666 0:0 0 GPU-aaaa not-ours, "
            "dev/gpu0 195:0 666 0:0 1 GPU-bbbb not-ours");
}

TEST_F(ReportedNodes, OlderNameOfTheSameDriverCounts) {
  write("proc/devices", "Character devices:\n195 gpu-frontend\n");
  EXPECT_TRUE(nodes().starts_with("dev/gpuctl 195:255")) << nodes();
  write("proc/devices", "Character devices:\n194 gpu-frontend\n196 gpu\n");
  EXPECT_TRUE(nodes().starts_with("dev/gpuctl 196:255")) << nodes();  // in the definition's order
}

TEST_F(ReportedNodes, NumberThatIsNotRegisteredIsNamed) {
  write("proc/devices", "Character devices:\n195 gpuctl\n238 gpu-uvm\n\nBlock devices:\n195 gpu\n");
  EXPECT_EQ(outcome(), "not_found/device-missing");
  EXPECT_NE(message(read_reported_nodes(root_.dir(), definition_)).find("\"gpu\""), std::string::npos);
}

TEST_F(ReportedNodes, OptionalNodeMayBeMissing) {
  definition_.nodes[0].registered_as = {"no-such-name"};
  EXPECT_EQ(outcome(), "not_found/device-missing");
  definition_.nodes[0].optional = true;
  EXPECT_TRUE(nodes().starts_with("dev/gpu1 ")) << nodes();
}

TEST_F(ReportedNodes, MissingOrUnusableMinorIsNamed) {
  for (const char* bad : {"GPU UUID: x\n", "Device Minor:\n", "Device Minor: x\n", "Device Minor: -1\n",
                          "Device Minor: 0x1\n", "Device Minor: 1048576\n", "device minor: 1\n"}) {
    gpu("0000:06:00.0", bad);
    EXPECT_EQ(outcome(), "not_found/device-missing") << bad;
    const std::string words = message(read_reported_nodes(root_.dir(), definition_));
    EXPECT_NE(words.find("0000:06:00.0"), std::string::npos) << words;
    EXPECT_NE(words.find("Device Minor"), std::string::npos) << words;
  }
}

TEST_F(ReportedNodes, DeviceWithoutAnotherNameIsKnownByItsNumber) {
  gpu("0000:06:00.0", "Device Minor: 1\n");
  EXPECT_NE(nodes().find("dev/gpu1 195:1 666 0:0 0,"), std::string::npos) << nodes();
}

// A GPU that nobody has opened yet has a UUID of question marks, which no container engine takes.
TEST_F(ReportedNodes, NameThatIsNoneYetIsLeftOut) {
  for (const std::string& none : {"GPU-" + std::string(8, '?'), std::string(), std::string("two words")}) {
    gpu("0000:06:00.0", "Device Minor: 1\nGPU UUID: " + none + "\n");
    EXPECT_NE(nodes().find("dev/gpu1 195:1 666 0:0 0,"), std::string::npos) << nodes();
  }
}

TEST_F(ReportedNodes, DriverThatShowsNoDeviceDrivesNothing) {
  definition_.nodes[1].each = "proc/driver/gpu/none/*/information";
  EXPECT_EQ(outcome(), "incompatible/device-missing");
  definition_.nodes[1].optional = true;
  EXPECT_EQ(nodes(), "dev/gpuctl 195:255 666 0:0");
}

TEST_F(ReportedNodes, DefinitionWithoutNodesAsksNothing) {
  definition_.nodes.clear();
  must(root_.dir().remove_file("proc/devices"));
  EXPECT_EQ(nodes(), "");
}

}  // namespace
}  // namespace driverext
