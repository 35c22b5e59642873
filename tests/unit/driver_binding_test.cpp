// Drivers of PCI devices, in a tree of files that stands for sysfs: what is written where, and in which order.
#include "kernel/driver_binding.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

class DriverBinding : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& file : {kOverride, kUnbind, kBind}) test::write_file(root_ / file, "");
  }
  [[nodiscard]] std::string text(const std::string& file) const { return test::read_whole(root_ / file); }

  const std::string kOverride = "sys/bus/pci/devices/0000:05:00.0/driver_override";
  const std::string kUnbind = "sys/bus/pci/drivers/vfio-pci/unbind";
  const std::string kBind = "sys/bus/pci/drivers/vfio-pci/bind";
  test::TempDir root_;
};

TEST_F(DriverBinding, AnOverrideIsEmptiedByALineBreak) {
  EXPECT_EQ(test::verdict(unbind_pci_device(root_.dir(), {"0000:05:00.0", "vfio-pci", "vfio-pci"})), "fine");
  EXPECT_EQ(text(kOverride), "\n");
  EXPECT_EQ(text(kUnbind), "0000:05:00.0");
}

TEST_F(DriverBinding, WithoutAnOverrideNoneIsWritten) {
  EXPECT_EQ(test::verdict(unbind_pci_device(root_.dir(), {"0000:05:00.0", "vfio-pci", ""})), "fine");
  EXPECT_EQ(test::verdict(bind_pci_device(root_.dir(), {"0000:05:00.0", "vfio-pci", ""})), "fine");
  EXPECT_EQ(text(kOverride), "");
  EXPECT_EQ(text(kBind), "0000:05:00.0");
}

TEST_F(DriverBinding, BindingPutsTheOverrideBack) {
  EXPECT_EQ(test::verdict(bind_pci_device(root_.dir(), {"0000:05:00.0", "vfio-pci", "vfio-pci"})), "fine");
  EXPECT_EQ(text(kOverride), "vfio-pci\n");
}

TEST_F(DriverBinding, ARefusalLeavesTheOverrideAsItWas) {
  test::must(root_.dir().remove_file(kUnbind));
  EXPECT_FALSE(unbind_pci_device(root_.dir(), {"0000:05:00.0", "vfio-pci", "vfio-pci"}));
  EXPECT_EQ(text(kOverride), "vfio-pci\n");
}

}  // namespace
}  // namespace driverext
