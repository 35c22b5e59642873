// The shipped definition of NVIDIA's driver, over what real and larger machines report: every node, and no other.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "base/text.hpp"
#include "driver/definition.hpp"
#include "provisioner/device_reconciler.hpp"
#include "support/fake_kernel.hpp"
#include "support/fixture_hosts.hpp"
#include "support/gpu_tree.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::GpuTree;
using test::must;

Definition shipped() {
  return must(parse_definition(test::source_file("drivers/nvidia.toml"), "nvidia", "nvidia.toml"));
}

// "nvidia0 195:0 666 0:0"
std::string line(const std::string& name, unsigned major, unsigned minor, unsigned mode, unsigned group = 0) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), "%s %u:%u %o 0:%u", name.c_str(), major, minor, mode, group);
  return text.data();
}

class NvidiaDevices : public ::testing::Test {
 protected:
  NvidiaDevices() { must(root_.dir().make_dirs("dev/char", 0755)); }

  void reconcile() {
    DeviceReconciler reconciler({.root = root_.dir(), .kernel = kernel_, .definition = definition_});
    if (must(reconciler.is_satisfied())) return;
    must(reconciler.apply());
    DeviceReconciler again({.root = root_.dir(), .kernel = kernel_, .definition = definition_});
    EXPECT_TRUE(must(again.is_satisfied()));
  }
  // Below dev, sorted.
  std::vector<std::string> nodes() {
    std::vector<std::string> lines;
    const std::string top = root_ / "dev/";
    for (const auto& [path, node] : kernel_.state().nodes) {
      lines.push_back(line(path.substr(top.size()), node.major, node.minor, node.mode, node.group));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  test::TempDir root_;
  test::FakeKernel kernel_{root_.dir()};
  Definition definition_ = shipped();
};

// dev.txt: "/dev/nvidia0 character special file c3:0 666 0:0"
TEST_F(NvidiaDevices, CapturedMachineGetsExactlyTheNodesThatItHad) {
  test::plant_tree("tests/fixtures/h200/capture.tree", root_);
  reconcile();
  std::vector<std::string> expected;
  std::vector<std::string> names = {"char"};  // in dev itself
  for (const std::string& text : split(test::source_file("tests/fixtures/h200/dev.txt"), '\n')) {
    if (text.empty()) continue;
    // The type is one word or several.
    const std::vector<std::string> words = split(text, ' ');
    ASSERT_GE(words.size(), 5U) << text;
    const std::string name = words[0].substr(std::string_view("/dev/").size());
    unsigned major = 0;
    unsigned minor = 0;
    unsigned mode = 0;
    ASSERT_EQ(std::sscanf(words[words.size() - 3].c_str(), "%x:%x", &major, &minor), 2) << text;
    ASSERT_EQ(std::sscanf(words[words.size() - 2].c_str(), "%o", &mode), 1) << text;
    ASSERT_EQ(words.back(), "0:0") << text;
    if (name.find('/') == std::string::npos) names.push_back(name);
    if (words[1] == "directory") {
      EXPECT_EQ(must(root_.dir().status("dev/" + name))->st_mode & 07777U, mode);
    } else {
      expected.push_back(line(name, major, minor, mode));
    }
  }
  std::sort(names.begin(), names.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(expected.size(), 6U);
  EXPECT_EQ(nodes(), expected);
  EXPECT_EQ(must(root_.dir().list("dev")), names);
  EXPECT_EQ(must(root_.dir().list("dev/char")).size(), expected.size());
}

std::vector<std::string> nodes_of(const GpuTree& tree) {
  std::vector<std::string> expected = {line("nvidiactl", 195, 255, 0666),
                                       line("nvidia-modeset", 195, 254, 0666),
                                       line("nvidia-uvm", 511, 0, 0666),
                                       line("nvidia-uvm-tools", 511, 1, 0666),
                                       line("nvidia-nvlink", 236, 0, 0666),
                                       line("nvidia-caps/nvidia-cap0", 235, 0, 0400),
                                       line("nvidia-caps/nvidia-cap1", 235, 1, 0400),
                                       line("nvidia-caps/nvidia-cap2", 235, 2, 0444),
                                       line("nvidia-caps/nvidia-cap4323", 235, 4323, 0400)};
  for (unsigned n = 0; n < tree.gpus; ++n) expected.push_back(line("nvidia" + std::to_string(n), 195, n, 0666));
  for (unsigned gpu = 0; gpu < tree.cut; ++gpu) {
    for (unsigned instance = 0; instance < tree.instances; ++instance) {
      for (const unsigned minor : {test::capability_minor(gpu, instance), test::capability_minor(gpu, instance) + 1}) {
        expected.push_back(line("nvidia-caps/nvidia-cap" + std::to_string(minor), 235, minor, 0444));
      }
    }
  }
  for (unsigned n = 0; n < tree.switches; ++n) {
    expected.push_back(line("nvidia-nvswitch" + std::to_string(n), 237, n, 0666));
  }
  if (tree.switches != 0) expected.push_back(line("nvidia-nvswitchctl", 237, 255, 0666));
  std::sort(expected.begin(), expected.end());
  return expected;
}

TEST_F(NvidiaDevices, EightGpusOfWhichTwoAreCut) {
  const GpuTree tree;
  test::plant_gpu_tree(tree, root_);
  reconcile();
  EXPECT_EQ(nodes(), nodes_of(tree));
  EXPECT_EQ(nodes().size(), 9U + 8U + 28U);
  // Names of the devices are in the order of the addresses, minors are not.
  std::string gpus;
  for (const ReportedNode& node : must(read_reported_nodes(root_.dir(), definition_))) {
    if (!node.names.empty()) gpus += node.names[0] + "=" + node.path + " ";
  }
  EXPECT_EQ(gpus,
            "0=dev/nvidia2 1=dev/nvidia5 2=dev/nvidia0 3=dev/nvidia3 4=dev/nvidia6 5=dev/nvidia1 6=dev/nvidia4 "
            "7=dev/nvidia7 ");
}

TEST_F(NvidiaDevices, EightGpusWith56Instances) {
  const GpuTree tree = {.cut = 8};
  test::plant_gpu_tree(tree, root_);
  reconcile();
  EXPECT_EQ(nodes(), nodes_of(tree));
  EXPECT_EQ(nodes().size(), 9U + 8U + 2 * 56U);
}

TEST_F(NvidiaDevices, SwitchesHaveNodesWhereThereAreSwitches) {
  const GpuTree tree = {.switches = 4};
  test::plant_gpu_tree(tree, root_);
  reconcile();
  EXPECT_EQ(nodes(), nodes_of(tree));
}

// What the module was told of its device files counts for all of them but capabilities, which say their own.
TEST_F(NvidiaDevices, NodesOfOneDriverHaveOneOwner) {
  GpuTree tree = {.gpus = 1, .cut = 0};
  tree.params = "DeviceFileUID: 0\nDeviceFileGID: 44\nDeviceFileMode: 432\nNvLinkDisable: 1\n";
  test::plant_gpu_tree(tree, root_);
  must(root_.dir().remove_file("sys/module/nvidia_modeset/initstate"));
  reconcile();
  EXPECT_EQ(nodes(), (std::vector<std::string>{
                         line("nvidia-caps/nvidia-cap1", 235, 1, 0400), line("nvidia-caps/nvidia-cap2", 235, 2, 0444),
                         line("nvidia-uvm", 511, 0, 0660, 44), line("nvidia-uvm-tools", 511, 1, 0660, 44),
                         line("nvidia0", 195, 0, 0660, 44), line("nvidiactl", 195, 255, 0660, 44)}));
}

TEST_F(NvidiaDevices, SharedChannelIsMadeOnlyIfTheModuleWasToldTo) {
  GpuTree tree = {.gpus = 1, .cut = 0};
  for (const auto& [told, count, made] : {std::tuple{"1", "2048", true}, {"0", "2048", false}, {"1", "0", false}}) {
    tree.params = std::string("CreateImexChannel0: ") + told + "\nImexChannelCount: " + count + "\n";
    test::plant_gpu_tree(tree, root_);
    reconcile();
    const auto all = nodes();
    const bool is_made =
        std::find(all.begin(), all.end(), line("nvidia-caps-imex-channels/channel0", 234, 0, 0666)) != all.end();
    EXPECT_EQ(is_made, made) << told << " " << count;
    must(kernel_.remove_node(root_ / "dev/nvidia-caps-imex-channels/channel0"));
  }
}

// Channels that others made are theirs: not all that could be made is made here.
TEST_F(NvidiaDevices, ChannelsOfOthersAreLeftAloneWhileTheirNumberIsRight) {
  test::plant_gpu_tree({}, root_);
  kernel_.place_node(root_ / "dev/nvidia-caps-imex-channels/channel7", {234, 7, 0666, 0, 0});
  kernel_.place_node(root_ / "dev/nvidia-caps-imex-channels/channel8", {233, 8, 0666, 0, 0});
  reconcile();
  EXPECT_TRUE(kernel_.state().nodes.contains(root_ / "dev/nvidia-caps-imex-channels/channel7"));
  EXPECT_FALSE(kernel_.state().nodes.contains(root_ / "dev/nvidia-caps-imex-channels/channel8"));
}

TEST_F(NvidiaDevices, FirstNameOfTheNumberIsKnownToo) {
  test::plant_gpu_tree({.gpus = 1, .cut = 0}, root_);
  test::write_file(root_ / "proc/devices",
                   "Character devices:\r\n196 not-nvidia-frontend\r\n195 nvidia-frontend\r\n510 my-nvidia-uvm\r\n"
                   "511 nvidia-uvm\r\n\r\nBlock devices:\r\n  7 nvidia\r\n");
  reconcile();
  EXPECT_EQ(nodes(), (std::vector<std::string>{line("nvidia-modeset", 195, 254, 0666), line("nvidia-uvm", 511, 0, 0666),
                                               line("nvidia-uvm-tools", 511, 1, 0666), line("nvidia0", 195, 0, 0666),
                                               line("nvidiactl", 195, 255, 0666)}));
}

}  // namespace
}  // namespace driverext
