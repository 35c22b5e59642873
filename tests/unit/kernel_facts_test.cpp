#include "host/kernel_facts.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.hpp"
#include "support/compressed.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;
using test::write_file;
using Names = std::vector<std::string>;

const std::string kRelease = "6.12.1-test";
const std::string kFolder = "usr/lib/modules/" + kRelease + "/";

KernelConfig config_with(const std::vector<std::string>& options) {
  KernelConfig config;
  for (const std::string& option : options) config["CONFIG_" + option] = "y";
  return config;
}

std::string derived(const std::vector<std::string>& options, const std::string& architecture = "x86-64") {
  return derive_vermagic({"6.1", architecture, false}, config_with(options));
}

TEST(Vermagic, FollowsFromTheConfiguration) {
  EXPECT_EQ(derived({"SMP", "PREEMPT_BUILD", "MODULE_UNLOAD", "MODVERSIONS"}),
            "6.1 SMP preempt mod_unload modversions");
  EXPECT_EQ(derived({"SMP", "PREEMPT_VOLUNTARY_BUILD", "MODULE_UNLOAD"}), "6.1 SMP mod_unload");
  EXPECT_EQ(derived({"SMP", "PREEMPT_RT", "MODULE_UNLOAD"}), "6.1 SMP preempt_rt mod_unload");
  EXPECT_EQ(derived({"SMP", "PREEMPT"}), "6.1 SMP preempt");
  EXPECT_EQ(derived({"SMP", "MODVERSIONS"}, "arm64"), "6.1 SMP modversions aarch64");
  EXPECT_EQ(derived({"UNRELATED"}), "6.1");
}

TEST(Vermagic, IsEmptyWhereTheConfigurationDoesNotTell) {
  EXPECT_EQ(derived({}), "");
  EXPECT_EQ(derived({"SMP"}, "riscv64"), "");
  EXPECT_EQ(derived({"SMP", "RANDSTRUCT"}), "");
  EXPECT_EQ(derived({"SMP", "GCC_PLUGIN_RANDSTRUCT"}), "");
  EXPECT_EQ(derived({"SMP", "PREEMPT_BUILD", "PREEMPT_RT"}), "");
}

TEST(Vermagic, FlagsAreAllButTheRelease) {
  KernelFacts facts;
  EXPECT_EQ(facts.vermagic_flags(), "");
  facts.vermagic = "6.1";
  EXPECT_EQ(facts.vermagic_flags(), "");
  facts.vermagic = "6.1 SMP preempt mod_unload ";
  EXPECT_EQ(facts.vermagic_flags(), "SMP preempt mod_unload");
}

TEST(ModuleLists, ArePathsALine) {
  EXPECT_EQ(parse_module_paths("kernel/a/b-c.ko.xz: kernel/d.ko.xz\nextra/e.ko:\n\n# x\nf.ko\n"),
            (Names{"kernel/a/b-c.ko.xz", "extra/e.ko", "f.ko"}));
  EXPECT_EQ(parse_module_paths(""), Names{});
  EXPECT_EQ(module_name_of_path("kernel/drivers/md/dm-verity.ko.zst"), "dm_verity");
  EXPECT_EQ(module_name_of_path("loop.ko"), "loop");
}

// What is missing in half a list would pass for absent.
TEST(ModuleLists, DamagedOneIsNone) {
  for (const char* text : {"a.ko:\nb.k", "a.ko", "a.ko:\nwhat\n", ".ko\n", "a b.ko\n",
                           "\x7f"
                           "ELF\n",
                           "a.ko.lz4:\n"}) {
    EXPECT_FALSE(parse_module_paths(text)) << text;
  }
}

class KernelFactsTest : public ::testing::Test {
 protected:
  KernelFacts read() {
    ModuleLists lists = read_module_lists(root_.dir(), kRelease);
    const auto sample = lists.paths ? read_sample_module(root_.dir(), kRelease, *lists.paths) : std::nullopt;
    return read_kernel_facts(root_.dir(), {kRelease, "x86-64", is_running_}, loaded_, std::move(lists), sample);
  }
  std::string squashfs() { return std::string(presence_name(read().squashfs)); }
  void put(const std::string& name, const std::string& text) const { write_file(root_ / name, text); }

  TempDir root_;
  bool is_running_ = true;
  Names loaded_;
};

TEST_F(KernelFactsTest, HostThatTellsNothingIsUnknown) {
  const KernelFacts facts = read();
  EXPECT_EQ(facts.vermagic, "");
  for (const Presence presence : {facts.loop, facts.dm_verity, facts.squashfs, facts.erofs}) {
    EXPECT_EQ(presence_name(presence), "unknown");
  }
  EXPECT_TRUE(facts.config.empty());
  EXPECT_TRUE(facts.builtin.empty());
}

TEST_F(KernelFactsTest, VermagicIsThatOfASmallModule) {
  const std::string module = test::tiny_module({.vermagic = "6.12.1-test SMP mod_unload aarch64 "});
  put(kFolder + "config", "CONFIG_SMP=y\n");
  put(kFolder + "modules.dep", "gone.ko:\nbig.ko:\nother.ko:\njunk.ko:\nright.ko.gz:\n");
  put(kFolder + "big.ko", module + std::string(size_t{1} << 20, '\0'));
  put(kFolder + "other.ko", test::tiny_module({.vermagic = "6.12.2-test SMP "}));
  put(kFolder + "junk.ko", "\x1f\x8bjunk");
  EXPECT_EQ(read().vermagic, "6.12.1-test SMP");  // from the configuration
  put(kFolder + "right.ko.gz", test::gzipped(module));
  EXPECT_EQ(read().vermagic, "6.12.1-test SMP mod_unload aarch64");
}

TEST_F(KernelFactsTest, ModulesOfAHostWithoutMergedUsrAreFound) {
  const std::string folder = "lib/modules/" + kRelease + "/";
  put(folder + "modules.order", "kernel/fs/squashfs/squashfs.ko\n");
  put(folder + "kernel/fs/squashfs/squashfs.ko.gz", test::gzipped(test::tiny_module({})));
  EXPECT_EQ(read().vermagic, "6.12.1-test SMP preempt mod_unload modversions");
  EXPECT_EQ(squashfs(), "loadable");
}

TEST_F(KernelFactsTest, FeatureIsPresentIfItIsLoadedOrShownByTheRunningKernel) {
  loaded_ = {"loop", "squashfs"};
  EXPECT_EQ(squashfs(), "present");
  loaded_ = {};
  put("proc/filesystems", "nodev\tproc\n\tsquashfs\n");
  put("proc/devices", "Character devices:\n 1 mem\n\nBlock devices:\n  7 loop\n");
  std::filesystem::create_directories(root_ / "sys/module/dm_verity");
  EXPECT_EQ(squashfs(), "present");
  EXPECT_EQ(read().loop, Presence::present);
  EXPECT_EQ(read().dm_verity, Presence::present);
  EXPECT_EQ(read().erofs, Presence::unknown);
  is_running_ = false;  // all that is about another kernel
  EXPECT_EQ(squashfs(), "unknown");
  EXPECT_EQ(read().loop, Presence::unknown);
  EXPECT_EQ(read().dm_verity, Presence::unknown);
}

TEST_F(KernelFactsTest, FeatureIsPresentIfItIsBuiltIn) {
  put(kFolder + "modules.builtin", "kernel/fs/squashfs/squashfs.ko\nkernel/a/x-y.ko\n");
  EXPECT_EQ(squashfs(), "present");
  EXPECT_EQ(read().builtin, (Names{"squashfs", "x_y"}));
  must(root_.dir().remove_file(kFolder + "modules.builtin"));
  put(kFolder + "config", "CONFIG_SQUASHFS=y\n");
  EXPECT_EQ(squashfs(), "present");
}

TEST_F(KernelFactsTest, FeatureIsLoadableOnlyIfTheHostHasTheModule) {
  put(kFolder + "config", "CONFIG_SQUASHFS=m\n");
  EXPECT_EQ(squashfs(), "unknown");  // nobody knows what modules there are
  put(kFolder + "modules.dep", "kernel/fs/squashfs/squashfs.ko.xz:\n");
  EXPECT_EQ(squashfs(), "loadable");
  put(kFolder + "modules.dep", "kernel/fs/other.ko.xz:\n");
  EXPECT_EQ(squashfs(), "absent");
}

TEST_F(KernelFactsTest, FeatureIsAbsentIfTheConfigurationOrBothListsSaySo) {
  put(kFolder + "modules.dep", "kernel/fs/other.ko:\n");
  EXPECT_EQ(squashfs(), "unknown");  // may be built in
  put(kFolder + "modules.builtin", "kernel/fs/ext4.ko\n");
  EXPECT_EQ(squashfs(), "absent");
  must(root_.dir().remove_file(kFolder + "modules.dep"));
  EXPECT_EQ(squashfs(), "unknown");
  put(kFolder + "config", "# CONFIG_SQUASHFS is not set\nCONFIG_SMP=y\n");
  EXPECT_EQ(squashfs(), "absent");
  put(kFolder + "modules.dep", "updates/squashfs.ko:\n");  // somebody built it nevertheless
  EXPECT_EQ(squashfs(), "loadable");
}

TEST_F(KernelFactsTest, DamagedListsTellNothing) {
  for (const std::string& damaged : {std::string("kernel/fs/squashfs/squashfs.ko:\nkernel/fs/er"),
                                     std::string(1000, '\xff'), std::string("\0\0\n", 3)}) {
    put(kFolder + "modules.dep", damaged);
    put(kFolder + "modules.builtin", damaged);
    EXPECT_EQ(squashfs(), "unknown");
    EXPECT_TRUE(read().builtin.empty());
  }
}

TEST(Presence, HasNames) {
  EXPECT_EQ(presence_name(Presence::unknown), "unknown");
  EXPECT_EQ(presence_name(Presence::absent), "absent");
  EXPECT_EQ(presence_name(Presence::loadable), "loadable");
  EXPECT_EQ(presence_name(Presence::present), "present");
}

}  // namespace
}  // namespace driverext
