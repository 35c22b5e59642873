// What doctor says of the driver root, container engines and extensions.
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "kernel/mount.hpp"
#include "support/doctor_host.hpp"
#include "support/verdict.hpp"
#include "sysext/gpt.hpp"
#include "sysext/manifest.hpp"

namespace driverext {
namespace {

using test::DoctorHost;

class DoctorContainers : public ::testing::Test {
 protected:
  [[nodiscard]] std::string verdict(std::string_view check) const {
    const std::string look = host_.look(check);
    return look.substr(0, look.find(':'));
  }
  DoctorHost host_;
};

constexpr const char* kNoMounts = "22 1 0:20 / / rw - ext4 x rw\n";

TEST(MountPointsIn, BlanksAreDecodedAndDamagedLinesPassedOver) {
  EXPECT_TRUE(test::must(mount_points_in("")).empty());
  EXPECT_EQ(test::must(mount_points_in("22 1 0:20 / / rw - ext4 x rw\n"
                                       "40 22 0:33 / /run/a\\040driver ro,relatime shared:1 - tmpfs x ro\n"
                                       "what is this\n"
                                       "41 22 0:34 / /run/last ro - tmpfs x ro")),
            (std::vector<std::string>{"/", "/run/a driver", "/run/last"}));
}

TEST_F(DoctorContainers, DriverRootIsNotMountedAnyMore) {
  EXPECT_EQ(verdict("driver-root"), "fine");
  host_.write("proc/self/mountinfo", kNoMounts);
  EXPECT_EQ(host_.look("driver-root"),
            "problem: /run/testgpu/driver is not mounted, but is not empty: something else has put usr there");
  host_.remove("run/testgpu");
  EXPECT_EQ(host_.look("driver-root"),
            "problem: /run/testgpu/driver is not mounted any more, though the driver is provisioned");
  host_.fail("no-image");
  EXPECT_EQ(verdict("driver-root"), "not-applicable");
}

TEST_F(DoctorContainers, DriverRootOutlivesItsDriver) {
  host_.input.facts->loaded_modules.clear();
  EXPECT_EQ(host_.look("driver-root"), "problem: /run/testgpu/driver is mounted, but the driver is not loaded");
}

TEST_F(DoctorContainers, DriverRootIsOfAnotherVersion) {
  EXPECT_EQ(verdict("driver-root-version"), "fine");
  host_.write("sys/module/testgpu/version", "2.0\n");
  EXPECT_EQ(host_.look("driver-root-version"), "problem: /run/testgpu/driver is of version 1.0, module testgpu is 2.0");
}

TEST_F(DoctorContainers, FirmwarePathLeadsNowhere) {
  EXPECT_EQ(verdict("firmware-path"), "fine");
  host_.write("sys/module/firmware_class/parameters/path", "/run/old/firmware\n");
  EXPECT_EQ(verdict("firmware-path"), "problem");
  host_.write("run/old/firmware/x.bin", "firmware");
  EXPECT_EQ(verdict("firmware-path"), "fine");
  host_.remove("run/old/firmware/x.bin");
  EXPECT_EQ(verdict("firmware-path"), "problem") << "empty";
}

TEST_F(DoctorContainers, WhatIsMergedIsWhatWasProvisioned) {
  EXPECT_EQ(verdict("merged-extension"), "not-applicable");
  host_.input.config->merge = true;
  EXPECT_EQ(host_.look("merged-extension"), "problem: version 1.0 is not merged into /usr any more");
  const std::string name(kManifestPath);
  host_.write(name, test::read_whole(host_.input.root.path_of("run/testgpu/driver/" + name)));
  EXPECT_EQ(verdict("merged-extension"), "fine");
  host_.remove("usr/bin/systemd-sysext");
  EXPECT_EQ(verdict("merged-extension"), "problem");
}

TEST_F(DoctorContainers, ToolkitIsPointedAtADriverRootThatIsNotThere) {
  EXPECT_EQ(verdict("toolkit-root"), "fine");
  host_.write("etc/testgpu-runtime/config.toml", "[cli]\nroot = \"/\"\n");
  EXPECT_EQ(verdict("toolkit-root"), "fine");
  host_.write("etc/testgpu-runtime/config.toml", "[cli]\nroot = \"/run/gone\"\n");
  EXPECT_EQ(verdict("toolkit-root"), "problem");
  host_.write("etc/testgpu-runtime/config.toml", "[cli\n");
  EXPECT_EQ(verdict("toolkit-root"), "problem");
  host_.remove("etc/testgpu-runtime/config.toml");
  EXPECT_EQ(verdict("toolkit-root"), "not-applicable");
}

TEST_F(DoctorContainers, DockerNamesARuntimeThatIsNotThere) {
  EXPECT_EQ(verdict("docker-runtime"), "fine");
  host_.write("etc/docker/daemon.json", "{\"log-driver\": \"journald\",}");
  EXPECT_EQ(verdict("docker-runtime"), "problem") << "dockerd does not start with it";
  host_.write("etc/docker/daemon.json", "{\"default-runtime\": \"testgpu\"}");
  EXPECT_EQ(verdict("docker-runtime"), "problem");
  host_.write("etc/docker/daemon.json", "{\"runtimes\": {\"testgpu\": {\"path\": \"/opt/gone\"}}}");
  EXPECT_EQ(host_.look("docker-runtime"),
            "problem: /etc/docker/daemon.json: runtime testgpu is /opt/gone, which is not there");
  host_.write("etc/docker/daemon.json", "\n");
  EXPECT_EQ(verdict("docker-runtime"), "not-applicable");
}

TEST_F(DoctorContainers, EnginesNameARuntimeThatIsNotThere) {
  EXPECT_EQ(verdict("engine-runtimes"), "fine");
  host_.write("etc/crio/crio.conf.d/99-gpu.conf", "[crio.runtime.runtimes.testgpu]\nruntime_path = \"/opt/gone\"\n");
  EXPECT_EQ(host_.look("engine-runtimes"),
            "problem: /etc/crio/crio.conf.d/99-gpu.conf: runtime testgpu is /opt/gone, which is not there");
  host_.remove("etc/crio");
  host_.remove("usr/bin/testgpu-runtime");
  EXPECT_EQ(verdict("engine-runtimes"), "problem") << "containerd's";
  host_.remove("etc/containerd");
  EXPECT_EQ(verdict("engine-runtimes"), "not-applicable");
}

TEST_F(DoctorContainers, SpecIsGone) {
  EXPECT_EQ(verdict("cdi-spec"), "fine");
  host_.remove("run/cdi/testgpu.yaml");
  EXPECT_EQ(verdict("cdi-spec"), "problem");
  host_.input.config->toolkit = std::vector<std::string>{"docker"};
  EXPECT_EQ(verdict("cdi-spec"), "not-applicable");
}

TEST_F(DoctorContainers, TwoSpecsAreOfOneKind) {
  host_.write("etc/cdi/other.yaml", "cdiVersion: 0.5.0\nkind: other.example/gpu\n");
  host_.write("etc/cdi/testgpu.yaml.bak", "kind: test.example/gpu\n");
  EXPECT_EQ(verdict("cdi-duplicates"), "fine");
  host_.write("etc/cdi/testgpu.yaml", "---\ncdiVersion: 0.5.0\nkind: test.example/gpu\n");
  EXPECT_EQ(host_.look("cdi-duplicates"),
            "problem: /etc/cdi/testgpu.yaml and /run/cdi/testgpu.yaml are all of kind test.example/gpu");
}

TEST_F(DoctorContainers, SpecNamesFilesOfAnOlderDriver) {
  EXPECT_EQ(verdict("cdi-files"), "fine");
  host_.write("run/cdi/testgpu.yaml",
              "kind: \"test.example/gpu\"\ndevices:\n- name: all\n  containerEdits:\n    deviceNodes:\n"
              "    - path: /dev/testgpu0\n    mounts:\n    - hostPath: /run/testgpu/driver/usr/lib64/libtest.so.0.9\n"
              "      containerPath: /usr/lib64/libtest.so.0.9\n");
  EXPECT_EQ(host_.look("cdi-files"),
            "problem: /run/cdi/testgpu.yaml names /run/testgpu/driver/usr/lib64/libtest.so.0.9, which is not there");
  // What a device is called in the container need not be there on the host.
  host_.write("run/cdi/testgpu.yaml",
              "kind: test.example/gpu\n    - path: /dev/inside\n      hostPath: /run/testgpu/driver/dev/inside\n");
  host_.write("run/testgpu/driver/dev/inside", "");
  EXPECT_EQ(verdict("cdi-files"), "fine");
}

TEST_F(DoctorContainers, FileThatIsNoImageIsAmongTheExtensions) {
  EXPECT_EQ(verdict("extension-files"), "fine");
  host_.link("/dev/null", "etc/extensions/masked.raw");
  host_.write("dev/null", "");  // a stand-in that is a file
  EXPECT_EQ(verdict("extension-files"), "problem");
  host_.remove("etc/extensions/masked.raw");
  host_.write("var/lib/extensions/broken.raw", "a page that says 404");
  EXPECT_EQ(host_.look("extension-files"),
            "problem: /var/lib/extensions/broken.raw is no image of any kind that systemd knows");
  host_.remove("var/lib/extensions/broken.raw");
  host_.link("/opt/gone.raw", "etc/extensions/gone.raw");
  EXPECT_EQ(host_.look("extension-files"), "problem: /etc/extensions/gone.raw is a link that leads nowhere");
}

std::string image_with_partition(std::string_view type) {
  constexpr uint64_t kSize = uint64_t{4} << 20;
  Partition partition;
  partition.type = guid_from_text(type);
  partition.uuid = guid_from_text("11111111-2222-3333-4444-555555555555");
  partition.offset = kGptFirstUsable;
  partition.size = uint64_t{1} << 20;
  const GptBytes tables = format_gpt({partition}, partition.uuid, kSize);
  std::string image(kSize, '\0');
  image.replace(0, tables.head.size(), as_text(tables.head));
  image.replace(kSize - tables.tail.size(), tables.tail.size(), as_text(tables.tail));
  return image;
}

TEST_F(DoctorContainers, UsrPartitionGetsAroundAPolicy) {
  host_.write("etc/extensions/x.raw", image_with_partition("8484680c-9521-48c6-9c11-b0720656f69e"));
  EXPECT_EQ(verdict("extension-files"), "fine");
  EXPECT_EQ(verdict("usr-type-extensions"), "fine") << "nobody asked for signatures";
  host_.write("etc/systemd/system/systemd-sysext.service.d/10-policy.conf",
              "[Service]\nExecStart=\nExecStart=systemd-sysext refresh --image-policy=root=signed+absent\n");
  EXPECT_EQ(host_.look("usr-type-extensions"), "problem: /etc/extensions/x.raw has a partition of type usr");
  host_.write("etc/extensions/x.raw", image_with_partition("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"));
  EXPECT_EQ(verdict("usr-type-extensions"), "fine");
}

TEST_F(DoctorContainers, PolicyThatTakesVerityAloneEnforcesNothing) {
  EXPECT_EQ(verdict("image-policy"), "not-applicable");
  const std::string file = "etc/systemd/system/systemd-sysext.service.d/10-policy.conf";
  host_.write(file,
              "[Service]\n#--image-policy=root=verity+signed\n"
              "ExecStart=systemd-sysext refresh --image-policy=\"root=signed+absent:usr=signed+absent\"\n");
  EXPECT_EQ(verdict("image-policy"), "fine");
  host_.write(file, "[Service]\nExecStart=systemd-sysext refresh --image-policy=root=verity+signed+absent\n");
  EXPECT_EQ(host_.look("image-policy"),
            "problem: /" + file + ": root=verity+signed+absent also takes what is only verity");
  host_.remove(file);
  host_.write("etc/systemd/sysext.conf", "[SysExt]\nImagePolicy=root=signed+unprotected\n");
  EXPECT_EQ(verdict("image-policy"), "problem");
}

TEST_F(DoctorContainers, ExtensionIsForAnotherRelease) {
  EXPECT_EQ(verdict("extension-os"), "fine");
  const std::string release = "run/extensions/old/usr/lib/extension-release.d/extension-release.old";
  host_.write(release, "ID=_any\n");
  EXPECT_EQ(verdict("extension-os"), "fine");
  host_.write(release, "ID=debian\nVERSION_ID=11\n");
  EXPECT_EQ(host_.look("extension-os"), "problem: /run/extensions/old is for debian 11, not 12");
  host_.write(release, "ID=debian\nVERSION_ID=12\nARCHITECTURE=arm64\n");
  EXPECT_EQ(host_.look("extension-os"), "problem: /run/extensions/old is for arm64, not for x86-64");
  host_.write(release, "ID=fedora\nVERSION_ID=12\n");
  EXPECT_EQ(host_.look("extension-os"), "problem: /run/extensions/old is for fedora, not for debian");
}

TEST_F(DoctorContainers, LevelMatchesEveryKernelOfTheOs) {
  EXPECT_EQ(verdict("extension-level"), "not-applicable");
  host_.write("usr/lib/os-release", "ID=flatcar\nVERSION_ID=1.2.3\nSYSEXT_LEVEL=1.0\n");
  const std::string extension = "etc/extensions/driver/";
  host_.write(extension + "usr/lib/extension-release.d/extension-release.driver", "ID=flatcar\nSYSEXT_LEVEL=1.0\n");
  EXPECT_EQ(verdict("extension-level"), "fine") << "without kernel modules it may";
  host_.write(extension + "usr/lib/modules/6.6.0/x.ko", "a module");
  EXPECT_EQ(verdict("extension-level"), "problem");
}

TEST_F(DoctorContainers, IndexOfAnExtensionHidesTheHosts) {
  EXPECT_EQ(verdict("module-index"), "fine");
  const std::string folder = "usr/lib/modules/" + host_.input.facts->kernel_release;
  host_.write(folder + "/modules.dep", "extra/x.ko:\n");
  EXPECT_EQ(host_.look("module-index"), "problem: /" + folder + "/modules.dep lists none of the kernel's own modules");
  host_.write("run/extensions/tools/" + folder + "/modules.dep", "extra/x.ko:\n");
  EXPECT_EQ(host_.look("module-index"),
            "problem: /run/extensions/tools/" + folder + "/modules.dep takes the place of the host's");
}

}  // namespace
}  // namespace driverext
