#include "kernel/module_refusal.hpp"

#include <gtest/gtest.h>

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

TEST(ModuleRefusal, WhatCannotBeExplainedAddsNothing) { EXPECT_EQ(explain_refusal(ENOSYS, "gpu", {}), ""); }

}  // namespace
}  // namespace driverext
