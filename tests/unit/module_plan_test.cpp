#include "driver/module_plan.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

class ModulePlanning : public ::testing::Test {
 protected:
  void define(const std::string& text) {
    definition_ = must(parse_definition("name = \"gpu\"\n" + text, "gpu", "gpu.toml"));
  }
  void add(const std::string& name, std::vector<std::string> depends = {}) {
    ModuleRecord record;
    record.name = name;
    record.path = "usr/lib/modules/6.1/driverext/gpu/" + name + ".ko";
    record.depends = std::move(depends);
    modules_.push_back(std::move(record));
  }
  ModuleRecord& last() { return modules_.back(); }
  [[nodiscard]] ModulePlanInput input() const { return {definition_, modules_, parameters_, modaliases_, modprobe_}; }
  Result<ModulePlan> plan() { return plan_modules(input()); }

  static std::string names(const std::vector<PlannedModule>& modules) {
    std::string text;
    for (const PlannedModule& module : modules) text += (text.empty() ? "" : " ") + module.name;
    return text;
  }
  static std::string names(const std::vector<std::string>& modules) {
    std::string text;
    for (const std::string& module : modules) text += (text.empty() ? "" : " ") + module;
    return text;
  }
  std::string own() { return names(must(plan()).own); }
  std::string skipped(const std::string& name) {
    for (const SkippedModule& module : must(plan()).skipped) {
      if (module.name == name) return module.why;
    }
    return "not skipped";
  }

  Definition definition_;
  std::vector<ModuleRecord> modules_;
  std::map<std::string, std::string> parameters_;
  std::vector<std::string> modaliases_;
  ModprobeConfig modprobe_;
};

constexpr const char* kTwo = "[[module]]\nname = \"gpu\"\n[[module]]\nname = \"gpu-mem\"\n";

TEST_F(ModulePlanning, WhatTheDefinitionNamesIsLoadedWithWhatItDependsOn) {
  define("[[module]]\nname = \"gpu-mem\"\n");
  add("gpu_mem", {"gpu", "video"});
  add("gpu", {"i2c_core"});
  add("gpu_extra", {"gpu"});
  const ModulePlan plan = must(this->plan());
  EXPECT_EQ(names(plan.own), "gpu gpu_mem");
  EXPECT_EQ(names(plan.required), "i2c_core video");
  EXPECT_EQ(skipped("gpu_extra"), "the driver definition does not name it");
}

TEST_F(ModulePlanning, TheDefinitionsOrderHoldsAsFarAsDependenciesLeaveIt) {
  define("[[module]]\nname = \"c\"\n[[module]]\nname = \"a\"\n[[module]]\nname = \"b\"\n");
  add("a");
  add("b");
  add("c", {"b"});
  EXPECT_EQ(own(), "b c a");
}

TEST_F(ModulePlanning, AStarStandsForEveryOtherModule) {
  define("[[module]]\nname = \"*\"\n[[module]]\nname = \"b\"\nwhen = { parameter = \"on\" }\n");
  add("a");
  add("b");
  add("c", {"a"});
  EXPECT_EQ(own(), "a c");
  EXPECT_TRUE(must_be_loaded(definition_, "a"));
  EXPECT_FALSE(must_be_loaded(definition_, "b"));
}

TEST_F(ModulePlanning, AModuleThatTheImageLacksIsAnErrorUnlessItIsOptional) {
  define(kTwo);
  add("gpu");
  EXPECT_EQ(verdict(plan()), "incompatible/config-invalid");
  EXPECT_NE(message(plan()).find("gpu_mem"), std::string::npos);
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"gpu-mem\"\noptional = true\n");
  EXPECT_EQ(own(), "gpu");
}

TEST_F(ModulePlanning, AConditionAsksForHardware) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"peer\"\nwhen = { hardware = [\"pci:v000015B3*\"] }\n");
  add("gpu");
  add("peer", {"gpu"});
  EXPECT_EQ(own(), "gpu");
  EXPECT_EQ(skipped("peer"), "there is no device that it is for");
  modaliases_ = {"pci:v000015B3d00001021sv0sd0bc02sc00i00"};
  EXPECT_EQ(own(), "gpu peer");
}

TEST_F(ModulePlanning, AConditionAsksForAParameter) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"drm\"\nwhen = { parameter = \"modeset=1\" }\n");
  add("gpu");
  add("drm");
  EXPECT_EQ(skipped("drm"), "the parameter modeset=1 is not given to it");
  modprobe_.options["drm"] = {{"modeset=1", "/etc/modprobe.d/x.conf:1"}};
  EXPECT_EQ(own(), "gpu drm");
  modprobe_.command_line["drm"] = {{"modeset=0", "the kernel's command line"}};
  EXPECT_EQ(own(), "gpu");
}

TEST_F(ModulePlanning, WhatAnotherModuleDependsOnIsLoadedThoughItsConditionDoesNotHold) {
  define("[[module]]\nname = \"gpu\"\nwhen = { parameter = \"x\" }\n[[module]]\nname = \"mem\"\n");
  add("gpu");
  add("mem", {"gpu"});
  EXPECT_EQ(own(), "gpu mem");
  EXPECT_EQ(skipped("gpu"), "not skipped");
}

TEST_F(ModulePlanning, ABlacklistedModuleThatIsNeededStopsTheDriver) {
  define(kTwo);
  add("gpu");
  add("gpu_mem", {"gpu"});
  modprobe_.blacklist["gpu"] = {"", "/etc/modprobe.d/no.conf:7"};
  EXPECT_EQ(verdict(plan()), "incompatible/module-blacklisted");
  EXPECT_NE(message(plan()).find("/etc/modprobe.d/no.conf:7"), std::string::npos);
}

TEST_F(ModulePlanning, AnInstallLineStopsItToo) {
  define(kTwo);
  add("gpu");
  add("gpu_mem", {"gpu"});
  modprobe_.install["gpu_mem"] = {"/bin/false", "/etc/modprobe.d/no.conf:7"};
  EXPECT_EQ(verdict(plan()), "incompatible/module-blacklisted");
}

TEST_F(ModulePlanning, ABlacklistedModuleThatIsNotNeededIsLeftOut) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"drm\"\noptional = true\n");
  add("gpu");
  add("drm", {"gpu"});
  modprobe_.blacklist["drm"] = {"", "the kernel's command line"};
  EXPECT_EQ(own(), "gpu");
  EXPECT_EQ(skipped("drm"), "blacklisted by the kernel's command line");
}

TEST_F(ModulePlanning, WhatAnOptionalModuleNeedsOfTheHostIsNotRequired) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"peer\"\noptional = true\n");
  add("peer", {"gpu", "ib_core"});
  add("gpu", {"video"});
  const ModulePlan plan = must(this->plan());
  EXPECT_EQ(names(plan.required), "video");
  EXPECT_EQ(names(plan.own), "gpu peer");
  EXPECT_TRUE(plan.own[0].is_must);
  EXPECT_FALSE(plan.own[1].is_must);
  EXPECT_EQ(names(plan.own[1].needs), "ib_core");
}

TEST_F(ModulePlanning, AnOptionalModuleThatANeededOneDependsOnMustBeLoaded) {
  define("[[module]]\nname = \"gpu\"\noptional = true\n[[module]]\nname = \"mem\"\n");
  add("gpu", {"video"});
  add("mem", {"gpu"});
  EXPECT_TRUE(must(plan()).own.at(0).is_must);
  EXPECT_EQ(names(must(plan()).required), "video");
  modprobe_.blacklist["gpu"] = {"", "/etc/modprobe.d/no.conf:7"};
  EXPECT_EQ(verdict(plan()), "incompatible/module-blacklisted");
}

TEST_F(ModulePlanning, AnOptionalModuleWhoseDependencyIsBlacklistedIsLeftOut) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"drm\"\noptional = true\n");
  add("gpu");
  add("drm", {"gpu", "helper"});
  add("helper");
  modprobe_.blacklist["helper"] = {"", "/etc/modprobe.d/no.conf:7"};
  EXPECT_EQ(own(), "gpu");
  EXPECT_EQ(skipped("drm"),
            "it needs module helper, which is not to be loaded: blacklisted by /etc/modprobe.d/no.conf:7");
}

TEST_F(ModulePlanning, ABlacklistLineMeansTheKernelsOwnModuleThatIsReplaced) {
  define("[[module]]\nname = \"gpu\"\nreplaces_in_tree = true\n[[module]]\nname = \"mem\"\n");
  add("gpu");
  add("mem", {"gpu"});
  modprobe_.blacklist["gpu"] = {"", "/etc/modprobe.d/no.conf:7"};
  EXPECT_EQ(own(), "gpu mem");
  modprobe_.install["gpu"] = {"/bin/false", "/etc/modprobe.d/no.conf:8"};
  EXPECT_EQ(verdict(plan()), "incompatible/module-blacklisted");
  EXPECT_NE(message(plan()).find("no.conf:8"), std::string::npos) << message(plan());
  modprobe_.install.clear();
  modprobe_.blacklist["mem"] = {"", "/etc/modprobe.d/no.conf:9"};
  EXPECT_EQ(verdict(plan()), "incompatible/module-blacklisted") << "said of gpu only";
}

TEST_F(ModulePlanning, AConditionReadsSwitchesAsTheKernelDoes) {
  define("[[module]]\nname = \"gpu\"\n[[module]]\nname = \"drm\"\nwhen = { parameter = \"mode-set=1\" }\n");
  add("gpu");
  add("drm");
  for (const char* given : {"mode_set=1", "mode_set=Y", "mode-set=y", "mode_set=on", "mode_set", "mode_set=\"1\""}) {
    modprobe_.options["drm"] = {{given, "/etc/modprobe.d/x.conf:1"}};
    EXPECT_EQ(own(), "gpu drm") << given;
  }
  for (const char* given : {"mode_set=0", "mode_set=N", "mode_set=off", "mode_set=10", "mode=1"}) {
    modprobe_.options["drm"] = {{given, "/etc/modprobe.d/x.conf:1"}};
    EXPECT_EQ(own(), "gpu") << given;
  }
}

TEST_F(ModulePlanning, SoftDependenciesOfTheImageComeInOrder) {
  define("[[module]]\nname = \"*\"\n");
  add("a");
  last().softdeps_pre = {"b"};
  last().softdeps_post = {"c"};
  add("c");
  add("b");
  EXPECT_EQ(own(), "b a c");
}

TEST_F(ModulePlanning, SoftDependenciesInACircleAreAWishOnly) {
  define("[[module]]\nname = \"*\"\n");
  add("a");
  last().softdeps_pre = {"b"};
  add("b", {"a"});
  EXPECT_EQ(own(), "a b");
}

TEST_F(ModulePlanning, SoftDependenciesOnTheHostAreWantedUnlessBlacklisted) {
  define("requires = [\"core\"]\nwants = [\"video\"]\n[[module]]\nname = \"a\"\n");
  add("a", {"i2c_core"});
  last().softdeps_pre = {"platform:early", "unwanted"};
  last().softdeps_post = {"late-one"};
  modprobe_.blacklist["unwanted"] = {"", "x"};
  const ModulePlan plan = must(this->plan());
  EXPECT_EQ(names(plan.required), "core i2c_core");
  EXPECT_EQ(names(plan.wanted), "platform:early video");
  EXPECT_EQ(names(plan.afterwards), "late-one");
}

TEST_F(ModulePlanning, TheHostCanGiveAModuleSoftDependencies) {
  define("[[module]]\nname = \"*\"\n");
  add("a");
  add("b");
  modprobe_.softdeps.push_back({"a", {"b", "video"}, {"late"}});
  const ModulePlan plan = must(this->plan());
  EXPECT_EQ(own(), "b a");
  EXPECT_EQ(names(plan.wanted), "video");
  EXPECT_EQ(names(plan.afterwards), "late");
}

TEST_F(ModulePlanning, TheStrongestSourceOfAParameterWinsAndIsNamed) {
  define("[[module]]\nname = \"gpu\"\nparameters = \"a=1 b=1 c=1 d=1\"\n");
  add("gpu");
  parameters_["gpu"] = "b=2 c=2 d=2";
  modprobe_.options["gpu"] = {{"c=3 d=3", "/etc/modprobe.d/x.conf:1"}, {"e=\"x y\"", "/etc/modprobe.d/x.conf:2"}};
  modprobe_.command_line["gpu"] = {{"d=4", "the kernel's command line"}, {"flag", "the kernel's command line"}};
  const PlannedModule gpu = must(plan()).own.at(0);
  EXPECT_EQ(gpu.parameter_text(), "a=1 b=2 c=3 e=\"x y\" d=4 flag");
  EXPECT_EQ(gpu.parameters[0].source, "the driver definition");
  EXPECT_EQ(gpu.parameters[1].source, "driverext.toml");
  EXPECT_EQ(gpu.parameters[2].source, "/etc/modprobe.d/x.conf:1");
  EXPECT_EQ(gpu.parameters[4].source, "the kernel's command line");
  EXPECT_TRUE(gpu.parameters[0].overruled.empty());
  EXPECT_EQ(gpu.parameters[4].overruled,
            (std::vector<OverruledParameter>{
                {"d=1", "the driver definition"}, {"d=2", "driverext.toml"}, {"d=3", "/etc/modprobe.d/x.conf:1"}}));
}

}  // namespace
}  // namespace driverext
