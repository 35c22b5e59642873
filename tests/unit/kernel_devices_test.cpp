// Devices whose nodes the kernel makes: found by sysfs, by class and driver, and by /proc/misc.
#include "driver/kernel_devices.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "driver/proc_files.hpp"
#include "support/fake_kernel.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

class KernelDevices : public ::testing::Test {
 protected:
  void device(const std::string& name, const std::string& driver, const std::string& number, const std::string& node) {
    const std::string folder = "sys/class/drm/" + name;
    test::write_file(root_ / (folder + "/uevent"), "MAJOR=226\nDEVNAME=" + node + "\nDEVTYPE=drm_minor\n");
    if (!number.empty()) test::write_file(root_ / (folder + "/dev"), number + "\n");
    if (!driver.empty()) must(root_.dir().make_link("../../../bus/pci/drivers/" + driver, folder + "/device/driver"));
  }
  std::string found(const DefinedDevice& rule) {
    const auto devices = find_kernel_devices(root_.dir(), rule);
    if (!devices) return verdict(devices);
    std::string text;
    for (const KernelDevice& each : *devices) {
      text += each.path + " " + std::to_string(each.major) + ":" + std::to_string(each.minor) + " ";
    }
    return text;
  }
  test::TempDir root_;
};

TEST_F(KernelDevices, OfAClassThoseOfTheDriverCount) {
  device("card0", "amdgpu", "226:0", "dri/card0");
  device("card0-DP-1", "", "", "");  // a connector
  device("card1", "ast", "226:1", "dri/card1");
  device("renderD128", "amdgpu", "226:128", "dri/renderD128");
  device("weird", "amdgpu", "226:9", "../../etc/passwd");
  device("worse", "amdgpu", "226;9", "dri/worse");
  DefinedDevice rule;
  rule.device_class = "sys/class/drm";
  EXPECT_EQ(found(rule), "dev/dri/card0 226:0 dev/dri/card1 226:1 dev/dri/renderD128 226:128 ");
  rule.drivers = {"amdgpu"};
  EXPECT_EQ(found(rule), "dev/dri/card0 226:0 dev/dri/renderD128 226:128 ");
  rule.names = "renderD*";
  EXPECT_EQ(found(rule), "dev/dri/renderD128 226:128 ");
  rule.drivers = {"xe"};
  EXPECT_EQ(found(rule), "not_found/device-missing");
  rule.optional = true;
  EXPECT_EQ(found(rule), "");
}

// A webcam has the first number, and the driver's own device another one.
TEST_F(KernelDevices, OfAClassVirtualOnesCanCountAlone) {
  const auto camera = [&](const std::string& folder, const std::string& name, const std::string& number) {
    test::write_file(root_ / ("sys/devices/" + folder + "/" + name + "/dev"), number + "\n");
    test::write_file(root_ / ("sys/devices/" + folder + "/" + name + "/uevent"), "DEVNAME=" + name + "\n");
    must(root_.dir().make_link("../../devices/" + folder + "/" + name, "sys/class/video4linux/" + name));
  };
  camera("pci0000:00/0000:00:14.0/usb1/1-1/video4linux", "video0", "81:0");
  DefinedDevice rule;
  rule.device_class = "sys/class/video4linux";
  rule.names = "video*";
  rule.only_virtual = true;
  EXPECT_EQ(found(rule), "not_found/device-missing");
  camera("virtual/video4linux", "video10", "81:1");
  EXPECT_EQ(found(rule), "dev/video10 81:1 ");
  rule.only_virtual = false;
  EXPECT_EQ(found(rule), "dev/video0 81:0 dev/video10 81:1 ");
}

TEST_F(KernelDevices, MiscellaneousOnesAreFoundByName) {
  test::write_file(root_ / "proc/misc", " 59 kfd\n118 v4l2loopback\n200 tun\n");
  DefinedDevice rule;
  rule.node = "dev/kfd";
  rule.misc = "kfd";
  EXPECT_EQ(found(rule), "dev/kfd 10:59 ");
  rule.misc = "kf";
  EXPECT_EQ(found(rule), "not_found/device-missing");
  rule.optional = true;
  EXPECT_EQ(found(rule), "");
}

TEST_F(KernelDevices, NodeMustBeTheDevice) {
  if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here";
  const KernelDevice device{"dev/x", 10, 59};
  EXPECT_EQ(verdict(check_kernel_node(root_.dir(), device)), "not_found/device-missing");
  test::write_file(root_ / "dev/x", "");
  EXPECT_EQ(verdict(check_kernel_node(root_.dir(), device)), "conflict/device-missing");
  ::unlink((root_ / "dev/x").c_str());
  ASSERT_EQ(::mknod((root_ / "dev/x").c_str(), S_IFCHR | 0600, makedev(10, 59)), 0);
  EXPECT_EQ(verdict(check_kernel_node(root_.dir(), device)), "fine");
  EXPECT_EQ(verdict(check_kernel_node(root_.dir(), {"dev/x", 10, 60})), "conflict/device-missing");
}

TEST_F(KernelDevices, GroupsOfTheOsCountToo) {
  test::write_file(root_ / "etc/group", "video:x:44:core\nbad\nodd:x:no:\n");
  test::write_file(root_ / "usr/lib/group", "render:x:106:\nvideo:x:39:\n");
  EXPECT_EQ(must(find_group(root_.dir(), "video")), 44U);
  EXPECT_EQ(must(find_group(root_.dir(), "render")), 106U);
  EXPECT_FALSE(must(find_group(root_.dir(), "odd")));
  EXPECT_FALSE(must(find_group(root_.dir(), "vide")));
}

TEST(MatchingFiles, AreFoundPartByPart) {
  const test::TempDir root;
  for (const char* name : {"x/a/f", "x/b/f", "x/b/c/f", "x/b/c/d/f", "x/b/other", "x/f"}) {
    test::write_file(root / ("proc/" + std::string(name)), "");
  }
  const auto found = [&](const std::string& pattern) {
    std::string text;
    for (const std::string& name : must(find_matching(root.dir(), "proc/" + pattern))) text += name.substr(5) + " ";
    return text;
  };
  EXPECT_EQ(found("x/*/f"), "x/a/f x/b/f x/f/f ");  // what is plain is not asked for
  EXPECT_EQ(found("x/**/f"), "x/a/f x/b/c/d/f x/b/c/f x/b/f x/f ");
  EXPECT_EQ(found("x/b/**/f"), "x/b/c/d/f x/b/c/f x/b/f ");
  EXPECT_EQ(found("x/[ab]/f"), "x/a/f x/b/f ");
  EXPECT_EQ(found("x/b/o*"), "x/b/other ");
  EXPECT_EQ(found("none/*/f"), "");
  EXPECT_EQ(found("x/b/other"), "x/b/other ");
}

}  // namespace
}  // namespace driverext
