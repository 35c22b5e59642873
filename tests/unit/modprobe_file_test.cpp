// Our file for modprobe: what it says, and what the real modprobe(8) makes of it.
#include "driver/modprobe_file.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;

class ModprobeFile : public ::testing::Test {
 protected:
  void define(const std::string& text) {
    definition_ = must(parse_definition("name = \"gpu\"\n" + text, "gpu", "gpu.toml"));
  }
  void add(const std::string& name, std::vector<std::string> depends = {}) {
    ModuleRecord record;
    record.name = name;
    record.path = "gpu/" + name + ".ko";
    record.depends = std::move(depends);
    modules_.push_back(std::move(record));
  }
  ModuleRecord& last() { return modules_.back(); }
  // Without its first line, which is a remark.
  std::string text() {
    const ModulePlanInput input{definition_, modules_, parameters_, modaliases_, modprobe_};
    const std::string text = format_modprobe_file(input, must(plan_modules(input)), "/run/m");
    return text.substr(text.find('\n') + 1);
  }

  Definition definition_;
  std::vector<ModuleRecord> modules_;
  std::map<std::string, std::string> parameters_;
  std::vector<std::string> modaliases_;
  ModprobeConfig modprobe_;
};

TEST_F(ModprobeFile, NamesEveryModuleOfTheImageAndWhatItNeeds) {
  define("[[module]]\nname = \"gpu\"\nparameters = \"a=1\"\n");
  add("gpu", {"i2c_core"});
  last().aliases = {"pci:v000010DEd*sv*sd*bc03*", "bad alias"};
  add("gpu_extra", {"gpu"});
  add("unwanted");
  modprobe_.blacklist["unwanted"] = {"", "x"};
  EXPECT_EQ(text(),
            "alias pci:v000010DEd*sv*sd*bc03* gpu\n"
            "options gpu a=1\n"
            "install gpu /sbin/modprobe -a -q i2c_core && { /sbin/insmod /run/m/gpu/gpu.ko 'a=1' || "
            "test -e /sys/module/gpu/initstate; }\n"
            "softdep gpu pre:\n"
            "install gpu_extra /sbin/modprobe -a -q gpu && { /sbin/insmod /run/m/gpu/gpu_extra.ko || "
            "test -e /sys/module/gpu_extra/initstate; }\n"
            "softdep gpu_extra pre:\n");
}

// nvidia-drm has the same aliases as nvidia: udev would load it with every GPU.
TEST_F(ModprobeFile, DevicesLoadOnlyWhatThePlanDoes) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"gpu-drm\"\nwhen = { parameter = \"modeset=1\" }\n");
  add("gpu");
  last().aliases = {"pci:a"};
  add("gpu_drm");
  last().aliases = {"pci:a"};
  EXPECT_NE(text().find("alias pci:a gpu\n"), std::string::npos);
  EXPECT_EQ(text().find("alias pci:a gpu_drm\n"), std::string::npos);
  EXPECT_NE(text().find("install gpu_drm "), std::string::npos);
  parameters_["gpu_drm"] = "modeset=1";
  EXPECT_NE(text().find("alias pci:a gpu_drm\n"), std::string::npos);
}

TEST_F(ModprobeFile, SoftDependenciesAreLoadedWithTheModuleIfThePlanHasThem) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"gpu-mem\"\n");
  add("gpu");
  last().softdeps_pre = {"ecdh_generic", "unwanted", "gpu-mem", "bad;name"};
  last().softdeps_post = {"gpu_mem", "gpu_extra"};
  add("gpu_mem", {"gpu"});
  add("gpu_extra", {"gpu"});
  modprobe_.blacklist["unwanted"] = {"", "x"};
  modprobe_.softdeps = {{"gpu", {"i2c_dev"}, {}}};
  const std::string file = text();
  EXPECT_NE(file.find("install gpu /sbin/modprobe -a -q ecdh_generic i2c_dev; { /sbin/insmod "), std::string::npos)
      << file;
  EXPECT_NE(file.find("gpu/initstate; } && { /sbin/modprobe -a -q gpu_mem; true; }\n"), std::string::npos) << file;
}

/// The file as modprobe runs it, with a program in place of insmod that notes what it is given.
class ModprobeRuns : public ModprobeFile {
 protected:
  void SetUp() override {
    const auto there = run_program({"modprobe", "--version"});
    if (!there) GTEST_SKIP() << "there is no modprobe on this machine";
    define("[[module]]\nname = \"driverext-test-gpu\"\n");
    add("driverext_test_gpu");
    test::write_file(folder_ / "insmod", "#!/bin/sh\nshift\nprintf '<%s>' \"$@\" >'" + folder_ / "words" + "'\n", 0755);
  }
  // What reaches insmod, each word in <>.
  std::string words(const std::string& parameters) {
    parameters_["driverext_test_gpu"] = parameters;
    std::string file = text();
    const std::string_view insmod = "/sbin/insmod";
    file.replace(file.find(insmod), insmod.size(), folder_ / "insmod");
    test::write_file(folder_ / "modprobe.d/driverext.conf", file);
    must(run_program({"modprobe", "-C", folder_ / "modprobe.d", "driverext-test-gpu"}));
    return test::read_whole(folder_ / "words");
  }
  TempDir folder_;
};

TEST_F(ModprobeRuns, EachParameterReachesTheModuleAsAWordOfItsOwn) {
  EXPECT_EQ(words("a=1 b=2"), "<a=1><b=2>");
  EXPECT_EQ(words(""), "<>");
}

TEST_F(ModprobeRuns, NoShellTakesAValueApart) {
  EXPECT_EQ(words("card_label=\"OBS Cam\" b=2"), "<card_label=\"OBS Cam\"><b=2>");
  EXPECT_EQ(words("words=\"A=1;B=2\" x=$(date)`date`*"), "<words=\"A=1;B=2\"><x=$(date)`date`*>");
  EXPECT_EQ(words("path=a\\b\\\\c"), "<path=a\\b\\\\c>");
  EXPECT_EQ(words("label=\"it's; date\" b=2"), "<label=\"it's; date\"><b=2>");
  EXPECT_EQ(words("x=$CMDLINE_OPTS"), "<x=$CMDLINE_OPTS>");
}

// They are among ours already; libkmod does not add them once more.
TEST_F(ModprobeRuns, OptionsOfTheHostComeOnce) {
  modprobe_.options["driverext_test_gpu"] = {{"label=it's", "/etc/modprobe.d/x.conf:1"}};
  test::write_file(folder_ / "modprobe.d/x.conf", "options driverext_test_gpu label=it's\n");
  EXPECT_EQ(words(""), "<label=it's>");
}

// Many packages have such a line, and libkmod would look for the module in an index then.
TEST_F(ModprobeRuns, ASoftDependencyOfTheHostDoesNotHideTheModule) {
  test::write_file(folder_ / "modprobe.d/zz.conf",
                   "softdep driverext-test-gpu post: driverext_test_other\ninstall driverext_test_other true\n");
  EXPECT_EQ(words("a=1"), "<a=1>");
}

}  // namespace
}  // namespace driverext
