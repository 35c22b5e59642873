#include "host/hardware.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_dir.hpp"

namespace driverext {
namespace {

using test::TempDir;
using test::write_file;
using Aliases = std::vector<std::string>;

class HardwareTest : public ::testing::Test {
 protected:
  void add(const std::string& bus, const std::string& device, const std::string& alias) const {
    write_file(root_ / ("sys/bus/" + bus + "/devices/" + device + "/modalias"), alias + "\n");
  }
  void add_without(const std::string& bus, const std::string& device) const {
    std::filesystem::create_directories(root_ / ("sys/bus/" + bus + "/devices/" + device));
  }
  [[nodiscard]] Aliases aliases() const { return read_modaliases(root_.dir()).value_or(Aliases{"unknown"}); }
  TempDir root_;
};

TEST_F(HardwareTest, OfEveryBusIsListedSortedAndOnce) {
  add("usb", "usb1", "usb:v1D6Bp0002");
  add("pci", "0000:00:06.0", "pci:v000010DEd00002335");
  add("pci", "0000:00:07.0", "pci:v000010DEd00002335");
  add("acpi", "PNP0C0A:00", "acpi:PNP0C0A:");
  add_without("pci", "0000:00:08.0");
  add("pci", "0000:00:09.0", "");
  EXPECT_EQ(aliases(), (Aliases{"acpi:PNP0C0A:", "pci:v000010DEd00002335", "usb:v1D6Bp0002"}));
}

// As in sysfs, where all that a bus has are links.
TEST_F(HardwareTest, LinksToDevicesAreFollowedInsideTheRoot) {
  write_file(root_ / "sys/devices/pci0000:00/0000:00:06.0/modalias", "pci:a\n");
  std::filesystem::create_directories(root_ / "sys/bus/pci/devices");
  std::filesystem::create_symlink("../../../devices/pci0000:00/0000:00:06.0",
                                  root_ / "sys/bus/pci/devices/0000:00:06.0");
  EXPECT_EQ(aliases(), (Aliases{"pci:a"}));
}

TEST_F(HardwareTest, IsUnknownWithoutSysfs) {
  EXPECT_EQ(aliases(), (Aliases{"unknown"}));
  std::filesystem::create_directories(root_ / "sys/bus");
  EXPECT_EQ(aliases(), (Aliases{"unknown"}));
  std::filesystem::create_directories(root_ / "sys/bus/pci/devices");
  EXPECT_EQ(aliases(), Aliases{});
}

TEST_F(HardwareTest, DamagedModaliasesAreHarmless) {
  add("pci", "a", std::string(5000, 'x'));
  add("pci", "b", "pci:\x1b[2J");
  add("pci", "c", "pci:c");
  EXPECT_EQ(aliases(), (Aliases{"pci:\\x1b[2J", "pci:c"}));
}

TEST_F(HardwareTest, ManyDevicesOfOtherBusesDoNotHideThoseOnPci) {
  for (int i = 0; i < 4100; ++i) add("acpi", "d" + std::to_string(i), "acpi:" + std::to_string(i));
  add("pci", "0000:00:06.0", "pci:a");
  const Aliases all = aliases();
  EXPECT_EQ(all.size(), 4096U);
  EXPECT_EQ(all.back(), "pci:a");
}

// The bus of memory blocks has tens of thousands of devices on a large machine, and no modalias.
TEST_F(HardwareTest, BusWithoutModaliasesDoesNotUseUpTheLimit) {
  for (int i = 0; i < 4100; ++i) add_without("memory", "memory" + std::to_string(i));
  add("usb", "usb1", "usb:a");
  EXPECT_EQ(aliases(), (Aliases{"usb:a"}));
}

}  // namespace
}  // namespace driverext
