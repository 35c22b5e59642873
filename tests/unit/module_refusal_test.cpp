#include "kernel/module_refusal.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "kernel/kernel_log.hpp"

namespace driverext {
namespace {

using Lines = std::vector<std::string>;

TEST(KernelLogText, IsWhatStandsBehindTheHead) {
  EXPECT_EQ(kernel_log_text("6,339,5140900,-;gpu: loading\n SUBSYSTEM=x\n"), "gpu: loading");
  EXPECT_EQ(kernel_log_text("4,1,2,-;a;b"), "a;b");
  EXPECT_EQ(kernel_log_text("no record"), "");
  EXPECT_EQ(kernel_log_text(""), "");
}

struct Case {
  int os_error;
  Lines log;
  const char* says;
};

TEST(ModuleRefusal, IsExplainedWithWhatTheKernelLogged) {
  const Case cases[] = {
      {ENOEXEC, {"gpu: disagrees about version of symbol kfree"}, "another checksum for kfree"},
      {ENOEXEC, {"gpu: no symbol version for kfree"}, "no checksum for kfree"},
      {ENOEXEC,
       {"gpu: version magic '6.1 SMP ' should be '6.2 SMP '"},
       "version magic '6.1 SMP ' should be '6.2 SMP '"},
      {ENOEXEC, {"gpu: exports duplicate symbol f (owned by old)"}, "another module exports f already"},
      {ENOENT,
       {"gpu: Unknown symbol a (err -2)", "gpu: Unknown symbol b (err -2)"},
       "not in this kernel: symbol a, b)"},
      {EKEYREJECTED, {"Loading of module with unavailable key is rejected"}, "signed with a key that it knows"},
      {ENOKEY, {}, "signed with a key that it knows"},
      {EPERM, {"Lockdown: provision: unsigned module loading is restricted; see man kernel_lockdown.7"}, "locked down"},
      {EPERM, {"Module gpu is blacklisted"}, "module_blacklist="},
      {EPERM, {}, "kernel.modules_disabled"},
      {ENODEV, {"NVRM: No NVIDIA GPU found."}, "no device that it could drive); it says: NVRM: No NVIDIA GPU found."},
      {EEXIST, {}, "loaded already"},
      {ENOMEM, {}, "no memory"},
      {EBUSY, {}, "in use"},
      {EINVAL, {"gpu: `x' invalid for parameter `mode'"}, "refuses a parameter"},
  };
  for (const Case& each : cases) {
    const std::string text = explain_refusal(each.os_error, "gpu", each.log);
    EXPECT_NE(text.find(each.says), std::string::npos) << each.os_error << ": " << text;
    for (const std::string& line : each.log) EXPECT_NE(text.find(line), std::string::npos) << text;
  }
}

TEST(ModuleRefusal, OtherModulesLinesAreLeftOutAndManySymbolsAreCounted) {
  Lines log = {"other: Unknown symbol zzz (err -2)"};
  for (char c = 'a'; c < 'a' + 8; ++c) log.push_back("gpu_mem: Unknown symbol f" + std::string(1, c) + " (err -2)");
  const std::string text = explain_refusal(ENOENT, "gpu-mem", log);
  EXPECT_EQ(text.find("zzz"), std::string::npos) << text;
  EXPECT_NE(text.find("symbol fa, fb, fc, fd, fe and 3 more"), std::string::npos) << text;
  EXPECT_NE(text.find("it says: gpu_mem: Unknown symbol ff"), std::string::npos) << "the last three: " << text;
}

constexpr const char* kTaint = "nvidia: loading out-of-tree module taints kernel.";
constexpr const char* kUnverified =
    "nvidia: module verification failed: signature and/or required key missing - tainting kernel";

// As the driver logs it where nouveau has the GPU.
const Lines kBoundToNouveau = {kTaint,
                               "nvidia: module license 'NVIDIA' taints kernel.",
                               "Disabling lock debugging due to kernel taint",
                               kUnverified,
                               "nvidia-nvlink: Nvlink Core is being initialized, major device number 240",
                               "NVRM: GPU 0000:01:00.0 is already bound to nouveau.",
                               "audit: type=1106 audit(1700000000.000:99): pid=1 uid=0 msg='op=PAM:session_close'",
                               "NVRM: The NVIDIA probe routine was not called for 1 device(s).",
                               "NVRM: This can occur when a driver such as:",
                               "NVRM: nouveau, rivafb, nvidiafb or rivatv",
                               "NVRM: was loaded and obtained ownership of the NVIDIA device(s).",
                               "NVRM: Try unloading the conflicting kernel module (and/or",
                               "mlx5_core 0000:5e:00.0 ens1f0np0: Link up",
                               "NVRM: reconfigure your kernel without the conflicting",
                               "NVRM: driver(s)), then try loading the NVIDIA kernel module",
                               "NVRM: again.",
                               "EXT4-fs (sda2): mounted filesystem with ordered data mode",
                               "NVRM: No NVIDIA devices probed.",
                               "nvidia-nvlink: Unregistered Nvlink Core, major device number 240",
                               "ata1.00: exception Emask 0x0",
                               "vethf00ba5: renamed from eth0"};

TEST(ModuleRefusal, ADriverThatSpeaksUnderAnotherNameIsHeardAmongTheNoiseOfOthers) {
  const std::string text = explain_refusal(ENODEV, "nvidia", kBoundToNouveau, {"mlx5_core", "nouveau", "ext4"});
  EXPECT_EQ(text,
            " (it found no device that it could drive); it says: "
            "nvidia-nvlink: Nvlink Core is being initialized, major device number 240 / "
            "NVRM: GPU 0000:01:00.0 is already bound to nouveau. "
            "The NVIDIA probe routine was not called for 1 device(s). This can occur when a driver such as: nouveau, "
            "rivafb, nvidiafb or rivatv was loaded and obtained ownership of the NVIDIA device(s). Try unloading the "
            "conflicting kernel module (and/or reconfigure your kernel without the conflicting driver(s)), then try "
            "loading the NVIDIA kernel module again. No NVIDIA devices probed."
            " / nvidia-nvlink: Unregistered Nvlink Core, major device number 240");
}

TEST(ModuleRefusal, AGpuWithoutTheProcessorThatOpenModulesNeedIsToldInTheDriversWords) {
  const Lines log = {kTaint,
                     kUnverified,
                     "nvidia-nvlink: Nvlink Core is being initialized, major device number 508",
                     "nvidia 0000:01:00.0: vgaarb: VGA decodes changed: olddecodes=io+mem,decodes=none:owns=io+mem",
                     "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1b80)",
                     "NVRM: installed in this system is not supported by open",
                     "usb 1-1: new high-speed USB device number 4 using xhci_hcd",
                     "NVRM: nvidia.ko because it does not include the required GPU",
                     "NVRM: System Processor (GSP).",
                     "NVRM: Please see the 'Open Linux Kernel Modules' and 'GSP",
                     "NVRM: Firmware' sections in the driver README, available on",
                     "NVRM: the Linux graphics driver download page at",
                     "NVRM: www.nvidia.com.",
                     "nvidia: probe of 0000:01:00.0 failed with error -1",
                     "NVRM: The NVIDIA probe routine failed for 1 device(s).",
                     "NVRM: None of the NVIDIA devices were initialized.",
                     "nvidia-nvlink: Unregistered Nvlink Core, major device number 508"};
  const std::string text = explain_refusal(ENODEV, "nvidia", log, {"usbcore", "xhci_hcd"});
  EXPECT_NE(text.find("NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1b80) installed in this system is not supported "
                      "by open nvidia.ko because it does not include the required GPU System Processor (GSP)."),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("None of the NVIDIA devices were initialized."), std::string::npos) << text;
}

TEST(ModuleRefusal, ATaintIsNoReason) {
  const std::string text = explain_refusal(ENODEV, "nvidia", {kTaint, kUnverified, "NVRM: No NVIDIA GPU found."});
  EXPECT_EQ(text.find("verification"), std::string::npos) << text;
  EXPECT_EQ(text.find("taints"), std::string::npos) << text;
  EXPECT_NE(text.find("NVRM: No NVIDIA GPU found."), std::string::npos) << text;
}

TEST(ModuleRefusal, WhatAnotherLoadedModuleSaysIsLeftOutButNotItsOwnFamily) {
  const Lines log = {"nouveau 0000:02:00.0: fifo: fault", "nvidia: the core has something to say",
                     "nvidia-uvm: it did not answer"};
  const std::string text = explain_refusal(EIO, "nvidia_uvm", log, {"nouveau", "nvidia"});
  EXPECT_EQ(text.find("nouveau"), std::string::npos) << text;
  EXPECT_NE(text.find("nvidia: the core has something to say / nvidia-uvm: it did not answer"), std::string::npos)
      << text;
}

TEST(ModuleRefusal, AParameterThatTheKernelRefusesIsNamed) {
  const std::string text = explain_refusal(
      EINVAL, "gpu", {"gpu: `maybe' invalid for parameter `mode'", "other: `x' invalid for parameter `y'"});
  EXPECT_NE(text.find("(it refuses a parameter: mode)"), std::string::npos) << text;
  EXPECT_EQ(text.find("`y'"), std::string::npos) << text;
}

TEST(KernelLogLines, AreTheNewestIfThereAreTooMany) {
  int ends[2] = {};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd writer(ends[0]);
  const KernelLog log{UniqueFd(ends[1])};
  constexpr int kRecords = 250;
  for (int i = 0; i < kRecords; ++i) {
    const std::string record = "6,1,2,-;line " + std::to_string(i);
    ASSERT_EQ(::send(writer.get(), record.data(), record.size(), 0), static_cast<ssize_t>(record.size())) << i;
  }
  const Lines lines = log.lines();
  ASSERT_EQ(lines.size(), 200U);
  EXPECT_EQ(lines.front(), "line 50");
  EXPECT_EQ(lines.back(), "line 249");
}

TEST(ModuleRefusal, WhatCannotBeExplainedAddsNothing) { EXPECT_EQ(explain_refusal(ENOSYS, "gpu", {}), ""); }

}  // namespace
}  // namespace driverext
