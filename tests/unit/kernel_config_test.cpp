#include "host/kernel_config.hpp"

#include <gtest/gtest.h>

#include "support/compressed.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;
using test::write_file;

constexpr const char* kTitle = "#\n# Linux/x86 6.12.94 Kernel Configuration\n#\n";
const AskedKernel kRunning = {"6.12.94-node", "x86-64", true};
const AskedKernel kOther = {"6.12.94-node", "x86-64", false};

TEST(KernelConfig, HasWhatIsSet) {
  const KernelConfig config =
      must(parse_kernel_config(std::string(kTitle) + "CONFIG_SMP=y\nCONFIG_SQUASHFS=m\n\n"
                                                     "# CONFIG_EROFS_FS is not set\nCONFIG_ANCIENT=n\n"
                                                     "CONFIG_HZ=250\nCONFIG_BASE=0xdead000000000000\n"
                                                     "CONFIG_EMPTY=\"\"\nCONFIG_SALT=\"a \\\"b\\\" c\\\\d\"\n"));
  const KernelConfig expected = {{"CONFIG_SMP", "y"},  {"CONFIG_SQUASHFS", "m"},
                                 {"CONFIG_HZ", "250"}, {"CONFIG_BASE", "0xdead000000000000"},
                                 {"CONFIG_EMPTY", ""}, {"CONFIG_SALT", "a \"b\" c\\d"}};
  EXPECT_EQ(config, expected);
}

TEST(KernelConfig, DamagedLineIsNamed) {
  const auto refusal = [](const std::string& more) { return message(parse_kernel_config("CONFIG_A=y\n" + more)); };
  const std::string start = "line 2 of the kernel's configuration ";
  for (const char* line : {"CONFIG_B\n", "=y\n", "B=y\n", "CONFIG_=y\n", "CONFIG_B C=y\n", " CONFIG_B=y\n"}) {
    EXPECT_EQ(refusal(line), start + "sets nothing") << line;
  }
  for (const char* line : {"CONFIG_B=\n", "CONFIG_B=\"\n", "CONFIG_B=\"x\n", "CONFIG_B=\"x\"y\n", "CONFIG_B=\"x\\\n"}) {
    EXPECT_EQ(refusal(line), start + "has a value that is damaged") << line;
  }
  EXPECT_EQ(refusal("CONFIG_B=" + std::string(5000, '1') + "\n"), start + "has a value that is damaged");
  EXPECT_EQ(refusal("CONFIG_A=m\n"), start + "sets something again");
}

// What is missing in half a file would pass for "not set".
TEST(KernelConfig, TextThatIsCutOffOrSetsNothingIsRefused) {
  EXPECT_EQ(verdict(parse_kernel_config("CONFIG_A=y\nCONFIG_B=y")), "invalid_input");
  EXPECT_EQ(verdict(parse_kernel_config("CONFIG_A=y\n# CONF")), "invalid_input");
  EXPECT_EQ(verdict(parse_kernel_config("")), "invalid_input");
  EXPECT_EQ(verdict(parse_kernel_config(kTitle)), "invalid_input");
}

class KernelConfigOfHost : public ::testing::Test {
 protected:
  [[nodiscard]] std::string found(const AskedKernel& kernel = kRunning) const {
    const KernelConfig config = read_kernel_config(root_.dir(), kernel);
    return config.contains("CONFIG_PLACE") ? config.at("CONFIG_PLACE") : "none";
  }
  void put(const std::string& place, const std::string& title = kTitle) const {
    write_file(root_ / place, title + "CONFIG_PLACE=\"" + place + "\"\n");
  }
  TempDir root_;
};

TEST_F(KernelConfigOfHost, IsFoundWhereverDistributionsKeepIt) {
  EXPECT_EQ(found(), "none");
  // From the last place to the first: each is preferred to those before it.
  for (const char* place : {"lib/modules/6.12.94-node/build/.config", "usr/lib/modules/6.12.94-node/build/.config",
                            "usr/boot/config", "usr/boot/config-6.12.94-node", "boot/config-6.12.94-node",
                            "lib/modules/6.12.94-node/config", "usr/lib/modules/6.12.94-node/config"}) {
    put(place);
    EXPECT_EQ(found(), place);
    EXPECT_EQ(found(kOther), place);
  }
}

TEST_F(KernelConfigOfHost, OfTheRunningKernelIsInProc) {
  put("usr/lib/modules/6.12.94-node/config");
  write_file(root_ / "proc/config.gz", test::gzipped("CONFIG_PLACE=\"proc\"\n"));
  EXPECT_EQ(found(), "proc");
  EXPECT_EQ(found(kOther), "usr/lib/modules/6.12.94-node/config");
}

TEST_F(KernelConfigOfHost, FileThatNamesNoReleaseHasToBeOfThisOne) {
  for (const char* title :
       {"", "# Linux/x86 6.12.9 Kernel Configuration\n", "# Linux/x86 6.12.941 Kernel Configuration\n",
        " Kernel Configuration\n", "# Linux/x86  Kernel Configuration\n"}) {
    put("usr/boot/config", title);
    EXPECT_EQ(found(), "none") << title;
  }
}

TEST_F(KernelConfigOfHost, DamagedFileIsPassedOver) {
  put("boot/config-6.12.94-node");
  const std::string whole = test::gzipped("CONFIG_PLACE=\"proc\"\n");
  const std::string bomb = test::gzipped(std::string(kMaxKernelConfig + 1, '\n'));
  for (const std::string& damaged : {whole.substr(0, whole.size() - 3), whole + "x", bomb,
                                     std::string("\x7f"
                                                 "ELF"),
                                     std::string(), std::string(kMaxKernelConfig + 1, '#')}) {
    write_file(root_ / "proc/config.gz", damaged);
    EXPECT_EQ(found(), "boot/config-6.12.94-node");
  }
}

}  // namespace
}  // namespace driverext
