#include "driver/firmware_path.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;

constexpr const char* kWanted = "/run/gpu/driver/lib/firmware";

FirmwarePathUse use_of(const TempDir& root, const std::string& value) {
  test::write_file(root / std::string(kFirmwarePathFile), value);
  return must(read_firmware_path(root.dir(), kWanted)).use;
}

TEST(FirmwarePath, AKernelWithoutTheSettingHasNone) {
  const TempDir root;
  EXPECT_EQ(must(read_firmware_path(root.dir(), kWanted)).use, FirmwarePathUse::absent);
}

TEST(FirmwarePath, AnEmptyOneIsFree) {
  const TempDir root;
  EXPECT_EQ(use_of(root, "\n"), FirmwarePathUse::free);
  EXPECT_EQ(use_of(root, ""), FirmwarePathUse::free);
}

TEST(FirmwarePath, SomebodyElsesFolderIsForeignWhileItIsThere) {
  const TempDir root;
  test::write_file(root / "usr/local/firmware/x.bin", "x");
  EXPECT_EQ(use_of(root, "/usr/local/firmware\n"), FirmwarePathUse::foreign);
  EXPECT_EQ(use_of(root, "/usr/local/gone\n"), FirmwarePathUse::free);
}

TEST(FirmwarePath, AnEmptyFolderIsWhatADeadMountLeaves) {
  const TempDir root;
  must(root.dir().make_dirs("run/other/driver/lib/firmware", 0755));
  EXPECT_EQ(use_of(root, "/run/other/driver/lib/firmware\n"), FirmwarePathUse::free);
}

TEST(FirmwarePath, OursIsKnownAndAnOlderOneOfOursIsFree) {
  const TempDir root;
  test::write_file(root / "run/driverext/mounts/old/usr/lib/firmware/x.bin", "x");
  EXPECT_EQ(use_of(root, std::string(kWanted) + "\n"), FirmwarePathUse::ours);
  EXPECT_EQ(use_of(root, "/run/driverext/mounts/old/usr/lib/firmware\n"), FirmwarePathUse::free);
}

}  // namespace
}  // namespace driverext
