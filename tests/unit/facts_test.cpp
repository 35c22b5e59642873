#include "host/facts.hpp"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;
using test::verdict;
using test::write_file;

class FactsTest : public ::testing::Test {
 protected:
  FactsTest() {
    write_file(root_ / "proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n");
    write_file(root_ / "proc/sys/kernel/arch", "x86_64\n");
  }
  TempDir root_;
};

TEST_F(FactsTest, AreReadBelowTheRoot) {
  const Facts facts = must(read_facts(root_.dir()));
  EXPECT_EQ(facts.kernel_release, "6.12.107+deb13-amd64");
  EXPECT_EQ(facts.architecture, "x86-64");
}

// Kernels before 6.1 have no such file.
TEST_F(FactsTest, MachineIsAskedOfTheKernelWhereThereIsNoFile) {
  must(root_.dir().remove_file("proc/sys/kernel/arch"));
  utsname names{};
  ASSERT_EQ(::uname(&names), 0);
  const Architecture* expected = architecture_of_machine(names.machine);
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, expected != nullptr ? expected->name : names.machine);
}

TEST_F(FactsTest, ArchitecturesHaveSystemdsNames) {
  write_file(root_ / "proc/sys/kernel/arch", "aarch64\n");
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, "arm64");
  write_file(root_ / "proc/sys/kernel/arch", "riscv64\n");
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, "riscv64");  // no image fits it, and the status says so
}

TEST_F(FactsTest, HostWithoutAKernelReleaseIsAnError) {
  write_file(root_ / "proc/sys/kernel/osrelease", "\n");
  EXPECT_EQ(verdict(read_facts(root_.dir())), "invalid_input");
  write_file(root_ / "proc/sys/kernel/osrelease", "../../etc\n");
  EXPECT_EQ(verdict(read_facts(root_.dir())), "invalid_input");
  const TempDir empty;
  EXPECT_EQ(verdict(read_facts(empty.dir())), "not_found");
}

TEST_F(FactsTest, IdentityIsReadWithoutAnythingElse) {
  write_file(root_ / "usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME='Debian 13'\n");
  write_file(root_ / "proc/sys/kernel/random/boot_id", "boot\n");
  write_file(root_ / "proc/modules", "loop 45056 0 - Live 0x0\ndm_mod 184320 1 dm_verity, Live 0x0\n\x1b[2J 1\n\n");
  write_file(root_ / "proc/cmdline", "quiet  root=/dev/vda \"gpu.label=a b\"\n");
  write_file(root_ / "sys/bus/pci/devices/a/modalias", "pci:a\n");
  write_file(root_ / "usr/lib/modules/6.12.107+deb13-amd64/config", "CONFIG_SMP=y\n");
  write_file(root_ / "sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
  const Facts facts = must(read_facts(root_.dir()));
  EXPECT_TRUE(facts.is_running);
  EXPECT_EQ(facts.os_id, "debian");
  EXPECT_EQ(facts.os_version_id, "13");
  EXPECT_EQ(facts.os_name, "Debian 13");
  EXPECT_EQ(facts.boot_id, "boot");
  EXPECT_EQ(facts.loaded_modules, (std::vector<std::string>{"dm_mod", "loop"}));
  EXPECT_EQ(facts.command_line, (std::vector<std::string>{"quiet", "root=/dev/vda", "gpu.label=\"a b\""}));
  EXPECT_GT(facts.free_bytes.value_or(0), 0U);
  EXPECT_EQ(facts.kernel.vermagic, "");
  EXPECT_FALSE(facts.hardware_is_known);
  EXPECT_EQ(facts.module_trust.lockdown, "");
}

TEST_F(FactsTest, WhatIsAskedForIsRead) {
  write_file(root_ / "sys/bus/pci/devices/a/modalias", "pci:a\n");
  write_file(root_ / "usr/lib/modules/6.12.107+deb13-amd64/config", "CONFIG_SMP=y\n");
  write_file(root_ / "usr/lib/modules/6.12.107+deb13-amd64/symvers", "0x00000001\ta\tb\tEXPORT_SYMBOL\t\n");
  write_file(root_ / "sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
  const Facts facts = must(read_facts(root_.dir(), FactsRequest::everything()));
  EXPECT_EQ(facts.kernel.vermagic, "6.12.107+deb13-amd64 SMP");
  EXPECT_EQ(facts.module_trust.lockdown, "none");
  EXPECT_EQ(facts.module_trust.enforced, false);
  EXPECT_EQ(facts.modaliases, (std::vector<std::string>{"pci:a"}));
  ASSERT_TRUE(facts.kernel.symbols);
  EXPECT_EQ(facts.kernel.symbols->size(), 1U);
  // Whether signatures are enforced is told by the configuration, which nobody asked for here.
  const Facts trust = must(read_facts(root_.dir(), {.module_trust = true}));
  EXPECT_EQ(trust.module_trust.enforced, false);
  EXPECT_TRUE(trust.kernel.config.empty());
}

TEST_F(FactsTest, DamagedFilesAreUnknownAndNoError) {
  const std::string junk(70'000, '\xfe');
  for (const char* name :
       {"etc/os-release", "proc/modules", "proc/cmdline", "proc/keys", "proc/config.gz", "proc/devices",
        "proc/filesystems", "sys/kernel/security/lockdown", "sys/bus/pci/devices/a/modalias",
        "sys/module/module/parameters/sig_enforce", "usr/lib/modules/6.12.107+deb13-amd64/config",
        "usr/lib/modules/6.12.107+deb13-amd64/modules.dep", "usr/lib/modules/6.12.107+deb13-amd64/symvers.xz",
        "sys/firmware/efi/efivars"}) {
    write_file(root_ / name, junk);
  }
  const Facts facts = must(read_facts(root_.dir(), FactsRequest::everything()));
  EXPECT_EQ(facts.os_id, "");
  EXPECT_TRUE(facts.loaded_modules.empty());
  EXPECT_TRUE(facts.modaliases.empty());
  EXPECT_EQ(facts.kernel.vermagic, "");
  EXPECT_FALSE(facts.kernel.symbols);
  EXPECT_FALSE(facts.module_trust.enforced);
  EXPECT_FALSE(facts.module_trust.keys_are_known);
}

TEST_F(FactsTest, OfAKernelThatDoesNotRunSayNothingOfTheRunningOne) {
  write_file(root_ / "proc/modules", "squashfs 45056 0 - Live 0x0\n");
  write_file(root_ / "proc/cmdline", "module.sig_enforce=1\n");
  write_file(root_ / "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  write_file(root_ / "sys/bus/pci/devices/a/modalias", "pci:a\n");
  const Facts facts = must(read_facts(root_.dir(), FactsRequest::everything("6.13.1")));
  EXPECT_EQ(facts.kernel_release, "6.13.1");
  EXPECT_EQ(facts.architecture, "x86-64");
  EXPECT_FALSE(facts.is_running);
  EXPECT_TRUE(facts.loaded_modules.empty());
  EXPECT_TRUE(facts.command_line.empty());
  EXPECT_EQ(facts.kernel.squashfs, Presence::unknown);
  EXPECT_FALSE(facts.module_trust.wants_signatures());
  EXPECT_EQ(facts.modaliases.size(), 1U);  // the machine is the same
  EXPECT_TRUE(must(read_facts(root_.dir(), {.kernel_release = "6.12.107+deb13-amd64"})).is_running);
}

TEST(Facts, RootThatDoesNotRunHasTheArchitectureOfItsKernel) {
  const TempDir root;
  const FactsRequest request = {.kernel_release = "6.12.1-test"};
  write_file(root / "usr/lib/modules/6.12.1-test/config", "CONFIG_ARM64=y\n");
  EXPECT_EQ(must(read_facts(root.dir(), request)).architecture, "arm64");
  write_file(root / "usr/lib/modules/6.12.1-test/modules.dep", "a.ko:\n");
  write_file(root / "usr/lib/modules/6.12.1-test/a.ko", test::tiny_module({}));
  const Facts facts = must(read_facts(root.dir(), request));
  EXPECT_EQ(facts.architecture, "x86-64");
  EXPECT_FALSE(facts.is_running);
}

TEST(Facts, KernelReleaseThatIsNoNameIsRefused) {
  const TempDir root;
  EXPECT_EQ(verdict(read_facts(root.dir(), {.kernel_release = "../../etc"})), "invalid_input");
}

}  // namespace
}  // namespace driverext
