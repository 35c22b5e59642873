// What an unload decides, from facts alone.
#include "provisioner/unload/plan.hpp"

#include <gtest/gtest.h>

namespace driverext {
namespace {

UnloadModule module(const std::string& name, unsigned references, std::vector<std::string> users,
                    UnloadModule::Whose whose = UnloadModule::Whose::driver) {
  UnloadModule made;
  made.use = {name, references, std::move(users)};
  made.whose = whose;
  return made;
}

// Loaded in this order, a third one on top of it.
UnloadFacts loaded() {
  UnloadFacts facts;
  facts.driver = "gpu";
  facts.version = "1.0";
  facts.modules = {module("gpu", 3, {"gpu_uvm", "gpu_modeset", "copy"}), module("gpu_uvm", 0, {}),
                   module("gpu_modeset", 1, {"gpu_drm"}), module("gpu_drm", 0, {}),
                   module("copy", 0, {}, UnloadModule::Whose::other)};
  return facts;
}

ProcessHolder process(int pid, const std::string& name, const std::string& unit) {
  ProcessHolder holder;
  holder.pid = pid;
  holder.name = name;
  holder.group.unit = unit;
  holder.devices = {"/dev/gpu0"};
  holder.handles = {"proc/" + std::to_string(pid) + "/fd/3"};
  return holder;
}

std::string steps(const UnloadPlan& plan) {
  std::string text;
  for (const PlannedUnload& step : plan.steps) {
    text += (text.empty() ? "" : ", ") + std::string(unload_step_name(step.kind)) + " " + step.subject;
  }
  return text;
}

TEST(UnloadPlan, ModulesGoBackwardsAndThoseOfOthersFirst) {
  const UnloadPlan plan = plan_unload(loaded());
  EXPECT_TRUE(plan.in_use.empty());
  EXPECT_EQ(steps(plan), "module copy, module gpu_drm, module gpu_modeset, module gpu_uvm, module gpu");
  EXPECT_EQ(plan.steps.front().why, "it uses gpu");
  EXPECT_EQ(plan.steps.back().why, "module of gpu 1.0");
}

TEST(UnloadPlan, WhatIsLeftGoesOnlyAfterTheModules) {
  UnloadFacts facts = loaded();
  facts.daemons = {{"a.service", 10}, {"b.service", 10}};
  facts.modprobe_file = "install gpu x\n";
  facts.contract_files = {{"run/gpu/ready", ""}};
  facts.merged = {"run/extensions/gpu"};
  facts.nodes.resize(1);
  facts.nodes[0].path = "dev/gpu0";
  facts.cdi_file = "run/cdi/gpu.yaml";
  facts.driver_root = "run/gpu/driver";
  facts.images = {{"abcd", "1.0", true}};
  EXPECT_EQ(steps(plan_unload(facts)),
            "stop b.service, stop a.service, contract /run/gpu/ready, modprobe /run/modprobe.d/driverext.conf, module "
            "copy, module gpu_drm, "
            "module gpu_modeset, module gpu_uvm, module gpu, merge /run/extensions/gpu, device /dev/gpu0, toolkit "
            "/run/cdi/gpu.yaml, root /run/gpu/driver, image abcd");
}

TEST(UnloadPlan, EveryHolderIsNamed) {
  UnloadFacts facts = loaded();
  facts.holders.processes = {process(7, "trainer", "job.service"), process(9, "infer", "")};
  facts.holders.processes[1].group.container = std::string(64, 'a');
  facts.modules[4].use.references = 2;
  EXPECT_EQ(
      plan_unload(facts).in_use,
      (std::vector<std::string>{"trainer (pid 7, job.service) has /dev/gpu0 open",
                                "infer (pid 9, container aaaaaaaaaaaa) has /dev/gpu0 open", "module copy uses gpu"}));
}

TEST(UnloadPlan, DaemonsOfTheDriverAreNotInTheWay) {
  UnloadFacts facts = loaded();
  facts.modules[0].use.references += 2;
  facts.holders.processes = {process(7, "keeper", "a.service")};
  EXPECT_FALSE(plan_unload(facts).in_use.empty());
  facts.daemons = {{"a.service", 10}};
  EXPECT_TRUE(plan_unload(facts).in_use.empty());
  facts.holders.processes.push_back(process(8, "trainer", "job.service"));
  EXPECT_EQ(plan_unload(facts).in_use.front(), "trainer (pid 8, job.service) has /dev/gpu0 open");
}

TEST(UnloadPlan, UseThatNoProcessExplainsIsTold) {
  UnloadFacts facts = loaded();
  facts.modules[1].use.references = 1;
  EXPECT_EQ(plan_unload(facts).in_use.front(),
            "module gpu_uvm is in use 1 time, by no process with a device that is known to be its own: by the kernel");
  facts.modules[1].use.references = 2;
  facts.holders.all_seen = false;
  EXPECT_EQ(plan_unload(facts).in_use.front(),
            "module gpu_uvm is in use 2 times, by processes that this user may not look into");
}

TEST(UnloadPlan, UserThatHasNoUseCountCannotGo) {
  UnloadFacts facts = loaded();
  facts.modules[0].use.used_by.emplace_back("permanent");
  EXPECT_EQ(plan_unload(facts).in_use.front(), "module gpu is used by permanent, which cannot be unloaded");
}

TEST(UnloadPlan, WhereTheKernelUnloadsNoModulesNothingIsDone) {
  UnloadFacts facts = loaded();
  facts.modules[0].use.is_removable = false;
  EXPECT_EQ(plan_unload(facts).in_use.front(), "module gpu cannot be unloaded: this kernel unloads no modules");
}

TEST(UnloadPlan, ModuleThatIsInUseItselfIsNotSaidToGo) {
  UnloadFacts facts = loaded();
  facts.modules[4].use.references = 1;
  EXPECT_EQ(plan_unload(facts).in_use.back(), "module copy uses gpu");
}

TEST(UnloadPlan, NothingIsDoneWhereNothingIs) {
  EXPECT_TRUE(plan_unload({}).steps.empty());
  EXPECT_TRUE(plan_unload({}).in_use.empty());
}

}  // namespace
}  // namespace driverext
