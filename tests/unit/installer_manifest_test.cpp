#include "userland/installer_manifest.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/package.hpp"
#include "support/verdict.hpp"
#include "userland/file_types.hpp"
#include "userland/layout.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

std::string with_line(const std::string& line) {
  return "Sample\n1.2.3\n \nsample \n \n \n./kernel/\n./kernel/precompiled/\n" + line + "\n";
}

PackagedFile only_file(const std::string& line) {
  const InstallerManifest manifest = must(parse_installer_manifest(with_line(line)));
  if (manifest.files.size() != 1) throw std::runtime_error("not one file");
  return manifest.files.front();
}

UserlandLayout sample_layout(UserlandClass wanted = UserlandClass::compute, Compat32 compat32 = Compat32::leave_out) {
  return must(lay_out_package(must(parse_installer_manifest(test::sample_installer_manifest())),
                              {"sample", "580.65.06", wanted, compat32}));
}

std::vector<std::string> targets(const UserlandLayout& layout) {
  std::vector<std::string> names;
  for (const PlacedFile& file : layout.files) names.push_back(file.target);
  for (const PlacedLink& link : layout.links) names.push_back(link.path + " -> " + link.text);
  return names;
}

bool holds(const UserlandLayout& layout, const std::string& target) {
  const std::vector<std::string> all = targets(layout);
  return std::find(all.begin(), all.end(), target) != all.end();
}

std::string why_not(const UserlandLayout& layout, const std::string& path) {
  for (const LeftOut& left : layout.left_out) {
    if (std::find(left.paths.begin(), left.paths.end(), path) != left.paths.end()) return left.why;
  }
  return "taken";
}

TEST(InstallerManifest, EveryFieldIsRead) {
  const PackagedFile library = only_file("./32/libcuda.so.1.2.3 0755 CUDA_LIB COMPAT32 / MODULE:gpgpu");
  EXPECT_EQ(library.path, "32/libcuda.so.1.2.3");
  EXPECT_EQ(library.name(), "libcuda.so.1.2.3");
  EXPECT_EQ(library.mode, 0755U);
  EXPECT_EQ(library.architecture, PackagedArchitecture::compat32);
  EXPECT_EQ(library.folder, "");
  EXPECT_EQ(library.module, "gpgpu");
  EXPECT_FALSE(library.is_link());

  const PackagedFile link = only_file("libvdpau.so.1 0000 VDPAU_SYMLINK NATIVE vdpau/ libvdpau.so.1.2.3 MODULE:vdpau");
  EXPECT_EQ(link.architecture, PackagedArchitecture::native);
  EXPECT_EQ(link.folder, "vdpau");
  EXPECT_EQ(link.target, "libvdpau.so.1.2.3");

  EXPECT_EQ(only_file("kernel/a/b.c 0644 KERNEL_MODULE_SRC INHERIT_PATH_DEPTH:1 MODULE:x").folder, "a");
  EXPECT_EQ(only_file("firmware/gsp.bin 0644 FIRMWARE INHERIT_PATH_DEPTH:1").folder, "");
  EXPECT_EQ(only_file("f 0644 EXPLICIT_PATH /usr/share/x/ MODULE:y").folder, "usr/share/x");
  EXPECT_EQ(only_file("libGL.so.1 0000 GLX_CLIENT_SYMLINK NATIVE libGL.so.1.7.0 MODULE:opengl").target,
            "libGL.so.1.7.0");
  EXPECT_EQ(only_file("libtls.so 0755 TLS_LIB NATIVE NEW / MODULE:opengl").folder, "");
  EXPECT_EQ(only_file("u.service 0000 SYSTEMD_UNIT_SYMLINK sleep.requires/ MODULE:p").target, "u.service");
}

TEST(InstallerManifest, NameAndVersionAreTheFirstLines) {
  const InstallerManifest manifest = must(parse_installer_manifest(test::sample_installer_manifest()));
  EXPECT_EQ(manifest.description, "Sample Accelerated Driver for Linux-x86_64");
  EXPECT_EQ(manifest.version, "580.65.06");
}

// The installer stops there too.
TEST(InstallerManifest, EmptyLineEndsTheFiles) {
  EXPECT_EQ(must(parse_installer_manifest(with_line("a 0644 CUDA_ICD\n\nrubbish"))).files.size(), 1U);
}

TEST(InstallerManifest, OlderVariantOfAFileIsMarked) {
  EXPECT_TRUE(only_file("libGL.so.390.48 0755 GLX_CLIENT_LIB NATIVE NON_GLVND MODULE:opengl").superseded);
  EXPECT_FALSE(only_file("libGL.so.1.7.0 0755 GLX_CLIENT_LIB NATIVE GLVND MODULE:opengl").superseded);
  EXPECT_TRUE(only_file("libtls.so.1 0755 TLS_LIB NATIVE CLASSIC / MODULE:opengl").superseded);
}

TEST(InstallerManifest, PathThatLeavesThePackageIsRefused) {
  for (const char* line :
       {"../x 0755 CUDA_LIB NATIVE /", "a/../../x 0755 CUDA_LIB NATIVE /", "/etc/passwd 0644 CUDA_ICD",
        ".hidden 0644 CUDA_ICD", "a//b 0644 CUDA_ICD", "x 0644 EXPLICIT_PATH /usr/../etc", "x 0644 EXPLICIT_PATH ../..",
        "x 0000 CUDA_SYMLINK NATIVE / ../../etc/shadow", "x 0000 CUDA_SYMLINK NATIVE / /etc/shadow",
        "x\x01y 0644 CUDA_ICD", "x;y 0644 CUDA_ICD"}) {
    EXPECT_EQ(verdict(parse_installer_manifest(with_line(line))), "invalid_input") << line;
  }
}

TEST(InstallerManifest, LineThatIsNotUnderstoodIsRefusedWithItsNumber) {
  for (const char* line : {"libcuda.so.1 0000 CUDA_SYMLINK NATIVE", "a/b 0644 FIRMWARE INHERIT_PATH_DEPTH:2",
                           "a/b 0644 FIRMWARE INHERIT_PATH_DEPTH:x",
                           "a/b 0644 FIRMWARE INHERIT_PATH_DEPTH:", "a/b 0644 FIRMWARE INHERIT_PATH_DEPTH:-1",
                           "x 0755 CUDA_LIB NATIVE / more MODULE:gpgpu", "x 0755 CUDA_LIB NATIVE / MODULE:../x"}) {
    const auto manifest = parse_installer_manifest(with_line(std::string("first 0644 CUDA_ICD\n") + line));
    EXPECT_NE(message(manifest).find("line 10"), std::string::npos) << line << ": " << message(manifest);
  }
  for (const char* line : {"x 0844 CUDA_LIB", "x 755 CUDA_LIB", "x 0755 cuda", "x 0755", "x", "x 99999 CUDA_LIB"}) {
    EXPECT_FALSE(parse_installer_manifest(with_line(std::string("first 0644 CUDA_ICD\n") + line))) << line;
  }
}

TEST(InstallerManifest, IsBounded) {
  EXPECT_FALSE(parse_installer_manifest(""));
  EXPECT_FALSE(parse_installer_manifest("Sample\n1.2.3\n"));
  EXPECT_FALSE(parse_installer_manifest("Sample\n../1\n\na 0644 CUDA_ICD\n"));
  EXPECT_FALSE(parse_installer_manifest("Sample\n1.2.3\n" + std::string(40, '\n') + "a 0644 CUDA_ICD\n"));
  EXPECT_FALSE(parse_installer_manifest(with_line("a 0644 CUDA_ICD " + std::string(5000, 'x'))));
  EXPECT_FALSE(parse_installer_manifest(with_line(std::string(kMaxInstallerManifest, 'x'))));
}

TEST(Layout, ComputingTakesLibrariesProgramsAndFirmware) {
  EXPECT_EQ(targets(sample_layout()), (std::vector<std::string>{
                                          "usr/bin/sample-smi",
                                          "usr/lib/firmware/sample/580.65.06/gsp.bin",
                                          "usr/lib64/libcuda.so.580.65.06",
                                          "usr/lib64/libsample-jit.so.580.65.06",
                                          "usr/share/OpenCL/vendors/sample.icd",
                                          "usr/share/licenses/sample/LICENSE",
                                          "usr/lib64/libcuda.so -> libcuda.so.1",
                                          "usr/lib64/libcuda.so.1 -> libcuda.so.580.65.06",
                                      }));
}

TEST(Layout, GraphicsHoldsComputing) {
  const UserlandLayout layout = sample_layout(UserlandClass::graphics);
  for (const std::string& target : targets(sample_layout())) EXPECT_TRUE(holds(layout, target)) << target;
  EXPECT_TRUE(holds(layout, "usr/lib64/vdpau/libvdpau_sample.so.580.65.06"));
  EXPECT_TRUE(holds(layout, "usr/lib64/vdpau/libvdpau_sample.so.1 -> libvdpau_sample.so.580.65.06"));
  EXPECT_TRUE(holds(layout, "usr/lib64/libvdpau_sample.so -> vdpau/libvdpau_sample.so.580.65.06"));
  EXPECT_TRUE(holds(layout, "usr/lib64/gbm/sample-drm_gbm.so -> ../libGL_sample.so.0"));
  EXPECT_TRUE(holds(layout, "usr/share/vulkan/icd.d/sample_icd.json"));
  EXPECT_TRUE(holds(layout, "usr/share/glvnd/egl_vendor.d/10_sample.json"));
  EXPECT_TRUE(holds(layout, "usr/lib64/xorg/modules/drivers/sample_drv.so"));
  EXPECT_TRUE(holds(layout, "usr/bin/sample-settings"));
  EXPECT_FALSE(holds(layout, "usr/share/dbus-1/system.d/sample-dbus.conf"));
}

TEST(Layout, NarrowLibrariesAreTakenOnlyIfAskedFor) {
  EXPECT_EQ(why_not(sample_layout(), "32/libcuda.so.580.65.06"), "32-bit libraries are not wanted");
  const UserlandLayout layout = sample_layout(UserlandClass::compute, Compat32::include);
  EXPECT_TRUE(holds(layout, "usr/lib/libcuda.so.580.65.06"));
  EXPECT_TRUE(holds(layout, "usr/lib/libcuda.so.1 -> libcuda.so.580.65.06"));
  EXPECT_TRUE(holds(layout, "usr/lib64/libcuda.so.580.65.06"));
}

TEST(Layout, WhatIsLeftOutHasAReason) {
  const UserlandLayout all = sample_layout(UserlandClass::all);
  EXPECT_EQ(why_not(all, "sample-modprobe"), "would run with rights of its own (setuid)");
  EXPECT_EQ(why_not(all, "sample-installer"), "the installer's own");
  EXPECT_EQ(why_not(all, "usr/bin/sample-uninstall"), "a link to what is left out");
  EXPECT_EQ(why_not(all, "sample-udev.rules"), "belongs outside of /usr, or to driverext");
  EXPECT_EQ(why_not(all, "supported/LICENSE"), "documentation");
  EXPECT_EQ(why_not(all, "sample-smi.1.gz"), "documentation");
  EXPECT_EQ(why_not(all, "sample-new-thing"), "of a type that is not known here");
  EXPECT_EQ(why_not(all, "systemd/sample-suspend.service"), "which units run is for the host to say");
  EXPECT_TRUE(holds(all, "usr/lib/systemd/system/sample-suspend.service"));
  EXPECT_TRUE(holds(all, "usr/share/dbus-1/system.d/sample-dbus.conf"));
  EXPECT_EQ(why_not(sample_layout(), "libGL_sample.so.580.65.06"), "graphics is not wanted");
}

TEST(Layout, PackageCannotReachTheKernelsModulesOrDriverextsOwnFiles) {
  for (const char* folder :
       {"/usr/lib/modules/6.1/extra", "/usr/lib/driverext", "/usr/lib/extension-release.d", "/etc", "/opt", "/"}) {
    const auto manifest = must(parse_installer_manifest(
        with_line("libcuda.so.1 0755 CUDA_LIB NATIVE / MODULE:gpgpu\nx.ko 0644 EXPLICIT_PATH " + std::string(folder))));
    const UserlandLayout layout = must(lay_out_package(manifest, {"sample", "1.2.3", UserlandClass::all}));
    EXPECT_EQ(layout.files.size(), 1U) << folder;
    EXPECT_EQ(why_not(layout, "x.ko"), "belongs outside of /usr, or to driverext") << folder;
  }
}

TEST(Layout, SetuidProgramIsNotTaken) {
  const auto manifest = must(parse_installer_manifest(with_line("a 0755 UTILITY_BINARY\nb 4755 UTILITY_BINARY")));
  EXPECT_EQ(why_not(must(lay_out_package(manifest, {"sample", "1.2.3"})), "b"),
            "would run with rights of its own (setuid)");
}

TEST(Layout, TwoFilesForOnePlaceAreRefused) {
  const auto manifest =
      must(parse_installer_manifest(with_line("a/x 0755 UTILITY_BINARY MODULE:a\nb/x 0755 UTILITY_BINARY MODULE:b")));
  EXPECT_NE(message(lay_out_package(manifest, {"sample", "1.2.3"})).find("usr/bin/x"), std::string::npos);
}

TEST(Layout, LinksThatLeadNowhereAreLeftOut) {
  const auto manifest = must(parse_installer_manifest(
      with_line("x 0755 UTILITY_BINARY\na 0000 UTILITY_BIN_SYMLINK a\nb 0000 UTILITY_BIN_SYMLINK gone\n"
                "c 0000 UTILITY_BIN_SYMLINK d\nd 0000 UTILITY_BIN_SYMLINK c")));
  EXPECT_EQ(targets(must(lay_out_package(manifest, {"sample", "1.2.3"}))), (std::vector<std::string>{"usr/bin/x"}));
}

TEST(Layout, PackageOfWhichNothingIsWantedIsRefused) {
  const auto manifest = must(parse_installer_manifest(with_line("libGL.so.1 0755 OPENGL_LIB NATIVE MODULE:opengl")));
  EXPECT_EQ(verdict(lay_out_package(manifest, {"sample", "1.2.3"})), "invalid_input");
}

TEST(FileTypes, EveryRuleHasAPlaceOrAReason) {
  for (const FileTypeRule& rule : file_type_rules()) {
    const int said = (rule.folder.empty() ? 0 : 1) + (rule.why_not.empty() ? 0 : 1) + (rule.is_module_source ? 1 : 0);
    EXPECT_EQ(said, 1) << rule.type;
  }
}

TEST(FileTypes, ClassesHaveNames) {
  EXPECT_EQ(must(userland_class_of_name("graphics")), UserlandClass::graphics);
  EXPECT_NE(message(userland_class_of_name("\x1b[2J")).find("compute"), std::string::npos);
}

}  // namespace
}  // namespace driverext
