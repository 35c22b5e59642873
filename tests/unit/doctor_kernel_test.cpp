// What doctor says of kernel, modules and devices.
#include <gtest/gtest.h>

#include "support/doctor_host.hpp"

namespace driverext {
namespace {

using test::DoctorHost;

class DoctorKernel : public ::testing::Test {
 protected:
  [[nodiscard]] std::string verdict(std::string_view check) const {
    const std::string look = host_.look(check);
    return look.substr(0, look.find(':'));
  }
  DoctorHost host_;
};

TEST_F(DoctorKernel, LacksWhatImagesAreAttachedWith) {
  for (const char* check : {"loop-devices", "dm-verity", "image-file-system"}) EXPECT_EQ(verdict(check), "fine");
  host_.fail("kernel-feature-missing");
  host_.input.facts->kernel.loop = Presence::absent;
  host_.input.facts->kernel.dm_verity = Presence::absent;
  host_.input.facts->kernel.squashfs = Presence::absent;
  host_.input.facts->kernel.erofs = Presence::absent;
  for (const char* check : {"loop-devices", "dm-verity", "image-file-system"}) EXPECT_EQ(verdict(check), "problem");
  host_.input.facts->kernel.loop = Presence::unknown;
  EXPECT_EQ(verdict("loop-devices"), "unknown");
  host_.input.facts->kernel.erofs = Presence::present;
  EXPECT_EQ(host_.look("image-file-system"), "problem: the kernel has erofs, but no squashfs");
}

TEST_F(DoctorKernel, ModulesOfTheRunningKernelAreGone) {
  EXPECT_EQ(verdict("host-modules"), "fine");
  host_.input.facts->kernel_release = "6.99.0";
  EXPECT_EQ(host_.look("host-modules"), "problem: /usr/lib/modules/6.99.0 is missing, though that kernel runs");
}

TEST_F(DoctorKernel, WantsSignaturesThatTheModulesLack) {
  EXPECT_EQ(verdict("module-signatures"), "fine");
  host_.input.facts->module_trust.lockdown = "integrity";
  EXPECT_EQ(verdict("module-signatures"), "fine") << "it has taken them";
  host_.fail("module-load-failed");
  EXPECT_EQ(host_.look("module-signatures"),
            "problem: the kernel is locked down (integrity): testgpu is not signed and testgpu_uvm is not signed");
}

TEST_F(DoctorKernel, KeyOfTheModulesIsLookedForInTheKeyrings) {
  host_.fail("module-load-failed");
  ModuleTrust& trust = host_.input.facts->module_trust;
  trust.enforced = true;
  for (ModuleRecord& module : host_.input.images.front().manifest.modules) {
    module.signature_key_id = "AA:BB:CC:DD:EE:AA:BB:CC:DD:EE:AA:BB:CC:DD:EE:AA:BB:CC:DD:EE";
  }
  EXPECT_EQ(verdict("module-signatures"), "unknown") << "no keyring was read";
  trust.keys_are_known = true;
  trust.keys = {{"another key", "0011223344001122334400112233440011223344"}};
  EXPECT_EQ(verdict("module-signatures"), "problem");
  trust.keys.push_back({"their key", "aabbccddeeaabbccddeeaabbccddeeaabbccddee"});
  EXPECT_EQ(verdict("module-signatures"), "fine");
  // Serial numbers are not what keyrings show.
  host_.input.images.front().manifest.modules.front().signature_key_id = "1A:5A:58";
  EXPECT_EQ(verdict("module-signatures"), "unknown");
}

TEST_F(DoctorKernel, CommandLineBlocksAModule) {
  host_.input.facts->command_line = {"module_blacklist=x,y", "modprobe.blacklist=testgpu"};
  EXPECT_EQ(verdict("module-blocked"), "fine") << "driverext loads by file";
  host_.input.facts->command_line = {"module_blacklist=x,testgpu-uvm"};
  EXPECT_EQ(host_.look("module-blocked"), "problem: module_blacklist=x,testgpu-uvm names testgpu_uvm");
}

TEST_F(DoctorKernel, InstallLineKeepsModprobeOut) {
  host_.write("etc/modprobe.d/a.conf",
              "# install testgpu /bin/false\nblacklist testgpu\ninstall other /bin/false\n"
              "install testgpu /sbin/modprobe --ignore-install testgpu\n");
  EXPECT_EQ(verdict("module-install-lines"), "fine");
  host_.write("usr/lib/modprobe.d/b.conf", "install\ttestgpu_uvm  /usr/bin/false\n");
  EXPECT_EQ(verdict("module-install-lines"), "problem");
}

TEST_F(DoctorKernel, HostHasAModuleOfThatNameItself) {
  EXPECT_EQ(verdict("module-on-host"), "fine");
  const std::string folder = "usr/lib/modules/" + host_.input.facts->kernel_release;
  host_.write(folder + "/modules.dep", "kernel/fs/x.ko:\ndriverext/testgpu/testgpu.ko:\n");
  EXPECT_EQ(verdict("module-on-host"), "fine") << "merged from an image of ours";
  host_.write(folder + "/modules.dep", "kernel/fs/x.ko:\nupdates/dkms/testgpu-uvm.ko.xz: updates/dkms/testgpu.ko.xz\n");
  EXPECT_EQ(host_.look("module-on-host"), "problem: /" + folder + "/updates/dkms/testgpu-uvm.ko.xz");
}

TEST_F(DoctorKernel, HasHadAnOops) {
  EXPECT_EQ(verdict("kernel-oops"), "fine");
  host_.write("proc/sys/kernel/tainted", "4736\n");  // 4096 and 512 and 128
  EXPECT_EQ(verdict("kernel-oops"), "problem");
  host_.remove("proc/sys/kernel/tainted");
  EXPECT_EQ(verdict("kernel-oops"), "unknown");
}

TEST_F(DoctorKernel, NoDeviceThatTheDriverIsFor) {
  EXPECT_EQ(verdict("hardware-present"), "fine");
  host_.input.facts->modaliases = {"pci:v00008086d00000001sv00000000sd00000000bc06sc00i00"};
  EXPECT_EQ(verdict("hardware-present"), "problem");
  host_.input.config->hardware = HardwareNeed::optional;
  EXPECT_EQ(verdict("hardware-present"), "not-applicable");
  host_.input.facts->hardware_is_known = false;
  EXPECT_EQ(verdict("hardware-present"), "unknown");
}

TEST_F(DoctorKernel, AnotherDriverHasTheDevice) {
  EXPECT_EQ(verdict("competing-driver"), "fine");
  host_.write("sys/bus/pci/drivers/vfio-pci/bind", "");
  host_.link("../../drivers/vfio-pci", "sys/bus/pci/devices/0000:01:00.0/driver");
  EXPECT_EQ(verdict("competing-driver"), "fine") << "given to a virtual machine";
  host_.write("sys/bus/pci/drivers/othergpu/bind", "");
  host_.link("../../drivers/othergpu", "sys/bus/pci/devices/0000:01:00.0/driver");
  EXPECT_EQ(host_.look("competing-driver"), "problem: 0000:01:00.0 is bound to othergpu");
  host_.input.facts->loaded_modules.emplace_back("opengpu");
  EXPECT_EQ(host_.look("competing-driver"), "problem: 0000:01:00.0 is bound to othergpu");
  host_.fail("module-conflict");
  EXPECT_EQ(host_.look("competing-driver"), "problem: module opengpu is loaded and 0000:01:00.0 is bound to othergpu");
}

TEST_F(DoctorKernel, DriverWasUnloadedSince) {
  EXPECT_EQ(verdict("driver-loaded"), "fine");
  host_.input.facts->loaded_modules = {"testgpu"};
  EXPECT_EQ(host_.look("driver-loaded"), "problem: testgpu_uvm is not loaded any more");
}

TEST_F(DoctorKernel, AModuleThatTheDriverDoesWithoutIsNotMissed) {
  for (DefinedModule& module : host_.input.definition->modules) module.optional = module.name == "testgpu_uvm";
  host_.input.facts->loaded_modules = {"testgpu"};
  EXPECT_EQ(verdict("driver-loaded"), "fine");
}

TEST_F(DoctorKernel, ModulesAreNotThoseOfTheImage) {
  EXPECT_EQ(verdict("module-identity"), "fine");
  host_.write("sys/module/testgpu/notes/.note.gnu.build-id", std::string(16, '\0') + "another");
  EXPECT_EQ(verdict("module-identity"), "problem");
}

TEST_F(DoctorKernel, PartsAreOfDifferentVersions) {
  EXPECT_EQ(host_.look("mixed-versions"), "fine: all parts are 1.0");
  host_.write("sys/module/testgpu_uvm/version", "2.0\n");
  EXPECT_EQ(host_.look("mixed-versions"), "problem: module testgpu is 1.0 and module testgpu_uvm is 2.0");
}

TEST_F(DoctorKernel, DeviceIsHeldWhileAnotherDriverWaits) {
  host_.write("proc/42/comm", "trainer\n");
  host_.write("proc/42/cgroup", "0::/system.slice/job.service\n");
  host_.link("/dev/testgpu0", "proc/42/fd/3");
  host_.link("/dev/null", "proc/42/fd/0");
  EXPECT_EQ(host_.look("held-devices"), "fine: in use: trainer (pid 42, job.service) has /dev/testgpu0 open");
  host_.fail("module-conflict");
  EXPECT_EQ(host_.look("held-devices"), "problem: trainer (pid 42, job.service) has /dev/testgpu0 open");
}

TEST_F(DoctorKernel, NodeIsMissingOrHasAnotherNumber) {
  EXPECT_EQ(verdict("device-nodes"), "fine");
  host_.nodes["dev/testgpuctl"].major = 7;
  host_.nodes.erase("dev/testgpu0");
  EXPECT_EQ(host_.look("device-nodes"), "problem: /dev/testgpuctl is 7:255, not 195:255 and /dev/testgpu0 is missing");
  host_.write("proc/devices", "Character devices:\n1 mem\n");
  EXPECT_EQ(verdict("device-nodes"), "problem") << "nothing is registered";
}

TEST_F(DoctorKernel, NodeHasAnotherModeOrOwner) {
  EXPECT_EQ(verdict("device-node-modes"), "fine");
  host_.nodes["dev/testgpu0"].mode = 0600;
  host_.nodes["dev/testgpuctl"].group = 0;
  EXPECT_EQ(host_.look("device-node-modes"),
            "problem: /dev/testgpuctl belongs to 0:0, not 0:44 and /dev/testgpu0 has mode 0600, not 0660");
}

TEST_F(DoctorKernel, LinkByNumberIsMissing) {
  EXPECT_EQ(verdict("dev-char-links"), "fine");
  host_.remove("dev/char/195:0");
  EXPECT_EQ(host_.look("dev-char-links"), "problem: /dev/char/195:0 is missing");
  host_.link("../null", "dev/char/195:0");
  EXPECT_EQ(host_.look("dev-char-links"), "problem: /dev/char/195:0 leads to ../null, not to /dev/testgpu0");
}

TEST_F(DoctorKernel, ReloadIsAHazardOnlyWithoutLinks) {
  EXPECT_EQ(verdict("daemon-reload"), "fine");
  host_.write("usr/lib/extension-release.d/extension-release.docker", "ID=debian\nEXTENSION_RELOAD_MANAGER=1\n");
  EXPECT_EQ(verdict("daemon-reload"), "fine") << "every node has its link";
  host_.remove("dev/char/195:0");
  EXPECT_EQ(verdict("daemon-reload"), "problem");
}

TEST_F(DoctorKernel, DriversOwnExtensionMustNotReload) {
  host_.write("run/driverext/mounts/x/usr/lib/extension-release.d/extension-release.testgpu",
              "ID=debian\nEXTENSION_RELOAD_MANAGER=1\n");
  host_.link("../driverext/mounts/x", "run/extensions/testgpu");
  EXPECT_EQ(host_.look("daemon-reload"),
            "problem: the driver's own extension testgpu has systemd reloaded when it is merged");
}

TEST_F(DoctorKernel, NodeIsLeftOverFromADriverThatIsNotLoaded) {
  EXPECT_EQ(verdict("stale-device-nodes"), "fine");
  host_.input.facts->loaded_modules.clear();
  EXPECT_EQ(
      host_.look("stale-device-nodes"),
      "problem: /dev/testgpuctl is there, but the driver is not loaded and /dev/testgpu0 is there, but the driver "
      "is not loaded");
  host_.nodes.clear();
  EXPECT_EQ(verdict("stale-device-nodes"), "fine");
}

TEST_F(DoctorKernel, NodeOfADeviceThatIsGoneIsLeftOver) {
  host_.nodes["dev/testgpu7"] = {195, 7, 0660, 0, 44, {}};
  host_.write("dev/testgpu7", "");
  EXPECT_EQ(host_.look("stale-device-nodes"), "problem: /dev/testgpu7 leads nowhere");
}

}  // namespace
}  // namespace driverext
