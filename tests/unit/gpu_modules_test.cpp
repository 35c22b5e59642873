// Loading the modules of a driver on a host that has something to say about it: other drivers, modprobe.d, firmware.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <stop_token>
#include <thread>

#include "driver/firmware_path.hpp"
#include "modules/modprobe_config.hpp"
#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::must;
using test::steps_text;

constexpr const char* kDropIn = "etc/driverext/drivers/testgpu.toml.d/test.toml";
constexpr std::chrono::milliseconds kMoment(5);
const std::string kModprobeFile(kOwnModprobeFile);
const std::string kConflictsFile(kOwnConflictsFile);
const std::string kFirmwareFile(kFirmwarePathFile);

class GpuModules : public ::testing::Test {
 protected:
  void SetUp() override { host_.drop_image(); }

  void define(const std::string& text) const { host_.write(kDropIn, text); }
  [[nodiscard]] std::string text_of(const std::string& name) const {
    return must(host_.root().read_if_there(name, 65536)).value_or("");
  }
  // Loaded, as a module of the host that modprobe finds.
  void load_competitor(const std::string& users) {
    const std::string file = "usr/lib/modules/" + std::string(test::kSampleKernel) + "/kernel/oldgpu.ko";
    host_.write(file, "stand-in");
    host_.kernel.add_module_file({"oldgpu", "cc01", {}});
    host_.host_modules.add("oldgpu", {{"oldgpu", host_.path(file)}});
    host_.kernel.place_module("oldgpu", "cc01");
    host_.write("sys/module/oldgpu/refcnt", users + "\n");
  }
  // A module of the host that is there to be loaded.
  void add_host_module(const std::string& name) {
    const std::string file = "usr/lib/modules/" + std::string(test::kSampleKernel) + "/kernel/" + name + ".ko";
    host_.write(file, "stand-in");
    host_.kernel.add_module_file({name, "dd01", {}});
    host_.host_modules.add(name, {{name, host_.path(file)}});
  }
  // What a step says of how it went.
  static std::string message_of(const Status& status, StepKind kind) {
    for (const StepReport& step : status.steps) {
      if (step.kind == kind) return step.message;
    }
    return {};
  }
  [[nodiscard]] size_t put_aside() const { return host_.state().of(test::kSampleKernel).failed.size(); }
  [[nodiscard]] bool is_loaded(const std::string& name) const { return host_.kernel.state().modules.contains(name); }

  FakeGpuHost host_;
};

// The driver does without its second module.
constexpr const char* kSecondIsOptional =
    "[[module]]\nname = \"testgpu-uvm\"\noptional = true\n[[device]]\nnode = \"/dev/testgpu-uvm\"\noptional = true\n";

TEST_F(GpuModules, AnOptionalModuleThatTheKernelRefusesIsSkippedAndToldInItsWords) {
  define(kSecondIsOptional);
  for (const int refused_with : {EINVAL, ENODEV, ENOEXEC, ENOENT, EPERM, EIO}) {
    SCOPED_TRACE(refused_with);
    host_.change_second_module({}, [&](test::FakeModuleFile& file) {
      file.refused_with = refused_with;
      file.says = {"testgpu_uvm: no peer memory here"};
    });
    const Status status = host_.provision();
    EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
    EXPECT_TRUE(is_loaded("testgpu"));
    EXPECT_FALSE(is_loaded("testgpu_uvm"));
    const std::string message = message_of(status, StepKind::load);
    EXPECT_NE(message.find("testgpu_uvm is not loaded: "), std::string::npos) << message;
    EXPECT_NE(message.find("it says: testgpu_uvm: no peer memory here"), std::string::npos) << message;
    EXPECT_EQ(put_aside(), 0U);
  }
  // Tried anew each time, and it does no harm; once the kernel takes it, it is there.
  host_.change_second_module({}, [](test::FakeModuleFile&) {});
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(is_loaded("testgpu_uvm"));
}

TEST_F(GpuModules, AnOptionalModuleThatHangsIsSkippedAndLeavesTimeForTheRest) {
  define(kSecondIsOptional);
  host_.change_second_module({}, [](test::FakeModuleFile& file) { file.refused_with = ETIMEDOUT; });
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_NE(message_of(status, StepKind::load).find("did not finish loading in time"), std::string::npos);
  EXPECT_EQ(put_aside(), 0U);
}

TEST_F(GpuModules, AnOptionalModuleThatStaysInItsInitIsNoFailedCheck) {
  define(kSecondIsOptional);
  host_.change_second_module({}, [](test::FakeModuleFile& file) { file.state = "coming"; });
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
}

class OptionalNeeds : public GpuModules {
 protected:
  void SetUp() override {
    host_.drop_image(options_);
    define(kSecondIsOptional);
  }
  const test::GpuImageOptions options_ = {.more_needs = {"peer_api"}};
};

TEST_F(OptionalNeeds, OfAModuleThatTheHostLacksSkipIt) {
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_FALSE(is_loaded("testgpu_uvm"));
  EXPECT_NE(message_of(status, StepKind::load).find("testgpu_uvm is not loaded: the host has no module peer_api"),
            std::string::npos)
      << message_of(status, StepKind::load);
}

TEST_F(OptionalNeeds, AreLoadedWithTheHostsOptions) {
  add_host_module("peer_api");
  host_.write("etc/modprobe.d/peer.conf", "options peer_api a=1\n");
  host_.write("proc/cmdline", "quiet peer_api.b=2\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(is_loaded("testgpu_uvm"));
  EXPECT_EQ(host_.kernel.parameters().at("peer_api"), "a=1 b=2");
}

TEST_F(OptionalNeeds, ThatTheHostDoesNotWantSkipIt) {
  add_host_module("peer_api");
  host_.write("etc/modprobe.d/peer.conf", "\ninstall peer_api /bin/false\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_FALSE(is_loaded("peer_api"));
  EXPECT_NE(message_of(status, StepKind::load).find("peer.conf:2"), std::string::npos);
}

TEST_F(OptionalNeeds, AreTakenBackIfItIsRefused) {
  add_host_module("peer_api");
  host_.change_second_module(options_, [](test::FakeModuleFile& file) { file.refused_with = EINVAL; });
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_FALSE(is_loaded("peer_api"));
  EXPECT_TRUE(is_loaded("testgpu"));
}

TEST_F(OptionalNeeds, StayIfTheyWereThere) {
  add_host_module("peer_api");
  host_.kernel.place_module("peer_api", "dd01");
  host_.change_second_module(options_, [](test::FakeModuleFile& file) { file.refused_with = EINVAL; });
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(is_loaded("peer_api"));
}

TEST_F(GpuModules, WhatIsGivenLaterToAProvisionedHostIsNoticed) {
  define(
      "[[module]]\nname = \"testgpu-uvm\"\nwhen = { parameter = \"on=1\" }\n"
      "[[device]]\nnode = \"/dev/testgpu-uvm\"\noptional = true\n");
  for (int run = 0; run < 2; ++run) {
    const Status status = host_.provision();
    EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
    EXPECT_FALSE(is_loaded("testgpu_uvm"));
    EXPECT_NE(message_of(status, StepKind::load).find("testgpu_uvm is not loaded: the parameter on=1"),
              std::string::npos)
        << "run " << run;
  }
  host_.write("etc/modprobe.d/gpu.conf", "options testgpu-uvm on=Y\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(is_loaded("testgpu_uvm"));
  EXPECT_NE(text_of(kModprobeFile).find("options testgpu_uvm on=Y\n"), std::string::npos);
  host_.kernel.forget_calls();
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(host_.kernel.calls().empty());
}

TEST_F(GpuModules, AChangedParameterOfALoadedModuleIsInTheModprobeFile) {
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  host_.configure("[parameters]\ntestgpu = \"b=2\"\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_NE(text_of(kModprobeFile).find("options testgpu b=2\n"), std::string::npos);
}

TEST_F(GpuModules, ABlacklistLineDoesNotFailADriverThatRuns) {
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  host_.write("etc/modprobe.d/no-gpu.conf", "blacklist testgpu_uvm\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_NE(message_of(status, StepKind::load).find("no-gpu.conf:1"), std::string::npos);
}

TEST_F(GpuModules, ABlacklistLineKeepsTheKernelsOwnModuleAwayThatTheDriverReplaces) {
  define("[[module]]\nname = \"testgpu\"\nreplaces_in_tree = true\n");
  host_.write("etc/modprobe.d/no-gpu.conf", "blacklist testgpu\n");
  host_.write("proc/cmdline", "quiet modprobe.blacklist=testgpu\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_TRUE(is_loaded("testgpu"));
}

TEST_F(GpuModules, WhatTheKernelItselfIsToldNotToLoadIsBlacklisted) {
  define("[[module]]\nname = \"testgpu\"\nreplaces_in_tree = true\n");
  host_.write("proc/cmdline", "quiet module_blacklist=other,testgpu\n");
  host_.change_module({}, [](test::FakeModuleFile& file) {
    file.refused_with = EPERM;
    file.says = {"Module testgpu is blacklisted"};
  });
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_blacklisted) << status.message;
  EXPECT_NE(status.message.find("module_blacklist="), std::string::npos) << status.message;
  EXPECT_EQ(put_aside(), 0U);
}

TEST_F(GpuModules, AParameterOfTheHostIsNoImagesFault) {
  host_.replace_module({}, EINVAL);
  EXPECT_EQ(host_.provision().reason, Reason::module_load_failed);
  EXPECT_EQ(put_aside(), 1U);
  for (const char* where : {"etc/modprobe.d/gpu.conf", "etc/driverext/driverext.toml", "proc/cmdline"}) {
    SCOPED_TRACE(where);
    FakeGpuHost host;
    host.drop_image();
    host.replace_module({}, EINVAL);
    const std::string file = where;
    host.write(file, file.ends_with(".conf") ? "\noptions testgpu mode=maybe\n"
                     : file.ends_with(".toml")
                         ? "[driver]\nname = \"testgpu\"\n[parameters]\ntestgpu = \"mode=maybe\"\n"
                         : "testgpu.mode=maybe\n");
    const Status status = host.provision();
    EXPECT_EQ(status.reason, Reason::module_load_failed);
    EXPECT_NE(status.message.find("it was given mode=maybe ("), std::string::npos) << status.message;
    EXPECT_TRUE(host.state().of(test::kSampleKernel).failed.empty());
  }
}

TEST_F(GpuModules, AParameterThatTheKernelNamesIsNoImagesFaultWhoeverGaveIt) {
  define("[[module]]\nname = \"testgpu\"\nparameters = \"a=1 mode=maybe\"\n");
  host_.change_module({}, [](test::FakeModuleFile& file) {
    file.refused_with = EINVAL;
    file.says = {"testgpu: `maybe' invalid for parameter `mode'"};
  });
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_load_failed);
  EXPECT_NE(status.message.find("; it was given mode=maybe (the driver definition)"), std::string::npos)
      << status.message;
  EXPECT_EQ(put_aside(), 0U);
}

TEST_F(GpuModules, AFileThatTheImageLacksIsNotTakenForASymbolThatTheKernelLacks) {
  host_.kernel.add_image(test::gpu_root_hash({}),
                         {{std::string(kManifestPath), format_manifest(test::gpu_manifest({}))}});
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::check_failed);
  EXPECT_NE(status.message.find("the image does not hold usr/lib/modules/"), std::string::npos) << status.message;
  EXPECT_EQ(status.message.find("symbol"), std::string::npos) << status.message;
  EXPECT_EQ(put_aside(), 1U);
}

TEST_F(GpuModules, AFileThatTheHostListsAndLacksIsNoImagesFault) {
  define("requires = [\"core\"]\n");
  host_.host_modules.add("core", {{"core", host_.path("usr/lib/modules/gone/core.ko")}});
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::dependency_missing);
  EXPECT_NE(status.message.find("the host lists module core, and there is no file "), std::string::npos)
      << status.message;
  EXPECT_EQ(put_aside(), 0U);
}

TEST_F(GpuModules, WhatMountsTheImageGetsTheHostsOptions) {
  host_.write("etc/modprobe.d/verity.conf", "options dm_verity require_signatures=1\n");
  host_.write("proc/cmdline", "quiet loop.max_loop=64\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(host_.kernel.parameters().at("dm_verity"), "require_signatures=1");
  EXPECT_EQ(host_.kernel.parameters().at("loop"), "max_loop=64");
  EXPECT_EQ(host_.kernel.parameters().at("squashfs"), "");
}

TEST_F(GpuModules, WhatMountsTheImageIsNotLoadedPastAnInstallLine) {
  host_.write("etc/modprobe.d/cis.conf", "install squashfs /bin/false\n");
  const auto before = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_blacklisted);
  EXPECT_NE(status.message.find("cis.conf:1"), std::string::npos) << status.message;
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_EQ(put_aside(), 0U);
}

TEST_F(GpuModules, AnEvictedDriverIsBackWithTheHostsOptions) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.write("etc/modprobe.d/old.conf", "options oldgpu modeset=1\ninstall oldgpu /bin/true\n");
  host_.replace_module({}, EIO);
  EXPECT_EQ(host_.provision().reason, Reason::module_load_failed);
  EXPECT_TRUE(is_loaded("oldgpu"));
  EXPECT_EQ(host_.kernel.parameters().at("oldgpu"), "modeset=1");
}

TEST_F(GpuModules, AnEvictedDriverThatUdevBringsBackFirstIsNoFailure) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.replace_module({}, EIO);
  // Found by its name among the calls of a run in which nothing else fails.
  host_.provision();
  const std::vector<std::string> calls = host_.kernel.calls();
  const auto back = std::find_if(calls.begin(), calls.end(), [](const std::string& call) {
    return call.starts_with("load_module ") && call.ends_with("/oldgpu.ko");
  });
  ASSERT_NE(back, calls.end());
  must(host_.root().remove_file("var/lib/driverext/state.json"));
  host_.kernel.fail_call(static_cast<int>(back - calls.begin()) + 1, EEXIST);
  const Status status = host_.provision();
  EXPECT_FALSE(is_loaded("oldgpu")) << "it was this call that failed";
  EXPECT_EQ(status.message.find("undoing"), std::string::npos) << status.message;
}

TEST_F(GpuModules, ACompetingDriverThatNobodyUsesIsEvicted) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_FALSE(is_loaded("oldgpu"));
  EXPECT_NE(text_of(kConflictsFile).find("blacklist oldgpu\n"), std::string::npos);
  EXPECT_EQ(text_of("etc/modprobe.d/driverext-blacklist.conf"), "");
}

TEST_F(GpuModules, ACompetingDriverThatIsUsedStaysAndItsUserIsNamed) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("2");
  host_.write("sys/module/oldgpu/holders/oldgpu_audio/refcnt", "0\n");
  const auto before = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_conflict);
  EXPECT_NE(status.message.find("oldgpu_audio"), std::string::npos) << status.message;
  EXPECT_EQ(host_.kernel.state(), before);
}

TEST_F(GpuModules, AnEvictedDriverIsBackIfTheNewOneFails) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.replace_module({}, EIO);
  const auto before = host_.kernel.state();
  EXPECT_EQ(host_.provision().reason, Reason::module_load_failed);
  EXPECT_TRUE(is_loaded("oldgpu"));
  EXPECT_EQ(host_.kernel.state().modules, before.modules);
  EXPECT_FALSE(must(host_.root().status(kConflictsFile)));
}

TEST_F(GpuModules, ABlacklistForLaterBootsStaysIfTheCompetitorCannotGoNow) {
  define("conflicts = [\"oldgpu\"]\n");
  host_.configure("[host]\nblacklist = true\n");
  load_competitor("1");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_conflict);
  EXPECT_NE(status.message.find("reboot"), std::string::npos) << status.message;
  EXPECT_NE(text_of("etc/modprobe.d/driverext-blacklist.conf").find("\nblacklist oldgpu\n"), std::string::npos);
  EXPECT_FALSE(must(host_.root().status(kConflictsFile)));
}

TEST_F(GpuModules, CompetitorsAreKeptAwayBeforeTheFirstModuleIsLoaded) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.replace_module({}, EIO);
  host_.write(kConflictsFile, "# of an earlier run\n");
  EXPECT_EQ(host_.provision().reason, Reason::module_load_failed);
  EXPECT_EQ(text_of(kConflictsFile), "# of an earlier run\n");
}

// A worker of udev has read modprobe.d before the step wrote there.
TEST_F(GpuModules, UdevsQueueIsWaitedForIfACompetitorCouldCome) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.write("run/udev/queue", "");
  std::atomic<bool> has_waited = false;
  std::jthread udev([&](const std::stop_token& stop) {
    while (text_of(kConflictsFile).empty() && !stop.stop_requested()) std::this_thread::sleep_for(kMoment);
    for (int i = 0; i < 40 && !stop.stop_requested(); ++i) std::this_thread::sleep_for(kMoment);
    has_waited = !stop.stop_requested() && !must(host_.root().status(kModprobeFile));
    ::unlink(host_.path("run/udev/queue").c_str());
  });
  const Status status = host_.provision();
  udev.request_stop();
  udev.join();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_TRUE(has_waited);
}

TEST_F(GpuModules, UdevsQueueIsNotWaitedForIfTheHostHasNoCompetitor) {
  define("conflicts = [\"oldgpu\"]\n");
  host_.configure("[budget]\nboot = 5\n");
  host_.write("run/udev/queue", "");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
}

TEST_F(GpuModules, OneWhoseInitDoesNotEndIsInUse) {
  define("conflicts = [\"oldgpu\"]\n");
  load_competitor("0");
  host_.kernel.add_module_file({.name = "oldgpu", .build_id = "cc01", .depends = {}, .state = "coming"});
  host_.configure("[budget]\nboot = 1\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_conflict) << status.message;
  EXPECT_TRUE(is_loaded("oldgpu"));
}

TEST_F(GpuModules, ABlacklistForLaterBootsIsWrittenIfConfiguredAndTakenBackOnFailure) {
  define("conflicts = [\"oldgpu\"]\n");
  host_.configure("[host]\nblacklist = true\n");
  const std::string file = "etc/modprobe.d/driverext-blacklist.conf";
  {
    FakeGpuHost failing;
    failing.drop_image();
    failing.write(kDropIn, "conflicts = [\"oldgpu\"]\n");
    failing.configure("[host]\nblacklist = true\n");
    failing.replace_module({}, EIO);
    failing.provision();
    EXPECT_FALSE(must(failing.root().status(file)));
  }
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_NE(text_of(file).find("\nblacklist oldgpu\n"), std::string::npos);
  host_.kernel.forget_calls();
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(host_.kernel.calls().empty());
}

/// A device for the driver that a virtual machine could have.
class GpusOfVfio : public GpuModules {
 protected:
  void SetUp() override {
    GpuModules::SetUp();
    define("[[hardware]]\nname = \"all\"\nmodaliases = [\"pci:v000010DEd*\"]\n");
    place(kGpu, "pci:v000010DEd00002330sv0sd0bc03sc02i00");
    place(kDisk, "pci:v00008086d00000953sv0sd0bc01sc08i02");
    must(host_.root().make_link("../../../../kernel/iommu_groups/17", "sys/bus/pci/devices/0000:05:00.0/iommu_group"));
    host_.write("sys/class/vfio/17/dev", "244:0\n");
    host_.write("sys/bus/pci/devices/0000:05:00.0/vfio-dev/vfio3/dev", "511:3\n");
  }
  void place(const PciBinding& binding, const std::string& modalias) { host_.kernel.place_pci(binding, modalias); }
  void hold(const std::string& node) const {
    host_.write("proc/42/comm", "qemu\n");
    must(host_.root().make_link(node, "proc/42/fd/7"));
  }
  [[nodiscard]] bool has_driver(const PciBinding& binding) const {
    const auto found = host_.kernel.state().pci.find(binding.address);
    return found != host_.kernel.state().pci.end() && found->second == binding;
  }
  const PciBinding kGpu{"0000:05:00.0", "vfio-pci", "vfio-pci"};
  const PciBinding kDisk{"0000:06:00.0", "vfio-pci", ""};
};

TEST_F(GpusOfVfio, StayThereUnlessTheyAreAskedFor) {
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_TRUE(has_driver(kGpu));
  std::string evict;
  for (const auto& step : status.steps) {
    if (step.kind == StepKind::evict) evict = step.message;
  }
  EXPECT_NE(evict.find("0000:05:00.0 is bound to vfio-pci"), std::string::npos) << evict;
  EXPECT_NE(evict.find("take_from_vfio = true"), std::string::npos) << evict;
}

TEST_F(GpusOfVfio, ExplainADriverThatFindsNoDevice) {
  host_.replace_module({}, ENODEV);
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_load_failed);
  EXPECT_NE(status.message.find("0000:05:00.0 is bound to vfio-pci"), std::string::npos) << status.message;
}

TEST_F(GpusOfVfio, AreTakenIfTheyAreAskedForAndGivenBackOnFailure) {
  host_.configure("[host]\ntake_from_vfio = true\n");
  host_.replace_module({}, EIO);
  const auto before = host_.kernel.state();
  EXPECT_EQ(host_.provision().reason, Reason::module_load_failed);
  EXPECT_EQ(host_.kernel.state(), before);
  host_.replace_module({}, 0);
  host_.now += 1;
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_FALSE(has_driver(kGpu));
  EXPECT_TRUE(has_driver(kDisk)) << "the driver is not for it";
  host_.kernel.forget_calls();
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(host_.kernel.calls().empty());
}

TEST_F(GpusOfVfio, ThatCannotBeTakenAreAConflict) {
  host_.configure("[host]\ntake_from_vfio = true\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  const std::vector<std::string> calls = host_.kernel.calls();
  const auto unbind = std::find(calls.begin(), calls.end(), "unbind_pci 0000:05:00.0");
  ASSERT_NE(unbind, calls.end());
  FakeGpuHost other;
  other.drop_image();
  other.write(kDropIn, text_of(kDropIn));
  other.configure("[host]\ntake_from_vfio = true\n");
  other.kernel.place_pci(kGpu, "pci:v000010DEd00002330sv0sd0bc03sc02i00");
  const auto before = other.kernel.state();
  other.kernel.fail_call(static_cast<int>(unbind - calls.begin()) + 1, EBUSY);
  EXPECT_EQ(other.provision().reason, Reason::module_conflict);
  EXPECT_EQ(other.kernel.state(), before);
}

TEST_F(GpusOfVfio, ThatSomebodyUsesStayAndTheUserIsNamed) {
  host_.configure("[host]\ntake_from_vfio = true\n");
  for (const char* node : {"/dev/vfio/17", "/dev/vfio/devices/vfio3"}) {
    hold(node);
    const Status status = host_.provision();
    EXPECT_EQ(status.reason, Reason::module_conflict) << status.message;
    EXPECT_NE(status.message.find("qemu (pid 42"), std::string::npos) << status.message;
    EXPECT_TRUE(has_driver(kGpu));
  }
}

TEST_F(GpuModules, ModprobeByNameFindsThemWhileTheyAreLoaded) {
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  const std::string text = text_of(kModprobeFile);
  const std::string mount = host_.path("run/driverext/mounts/" + test::gpu_root_hash({}));
  EXPECT_NE(text.find("install testgpu { /sbin/insmod " + mount + "/"), std::string::npos) << text;
  EXPECT_NE(text.find("install testgpu_uvm /sbin/modprobe -a -q testgpu && "), std::string::npos) << text;
}

TEST_F(GpuModules, AMissingModprobeFileIsWrittenAgain) {
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  const std::string text = text_of(kModprobeFile);
  must(host_.root().remove_file(kModprobeFile));
  host_.kernel.forget_calls();
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(text_of(kModprobeFile), text);
  EXPECT_TRUE(host_.kernel.calls().empty());
}

TEST_F(GpuModules, AFailedLoadLeavesNoModprobeFile) {
  host_.check_fails_for = "1.0";
  EXPECT_EQ(host_.provision().reason, Reason::check_failed);
  EXPECT_FALSE(must(host_.root().status(kModprobeFile)));
}

TEST_F(GpuModules, ABlacklistOfTheHostIsRespected) {
  host_.write("etc/modprobe.d/no-gpu.conf", "blacklist testgpu_uvm\n");
  const auto before = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::module_blacklisted);
  EXPECT_NE(status.message.find("no-gpu.conf:1"), std::string::npos) << status.message;
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_TRUE(host_.state().of(test::kSampleKernel).failed.empty()) << "no image's fault";
}

TEST_F(GpuModules, ParametersComeFromEverywhereAndTheStrongestWins) {
  define("[[module]]\nname = \"testgpu\"\nparameters = \"a=1 b=1\"\n");
  host_.configure("[parameters]\ntestgpu = \"b=2 c=2\"\n");
  host_.write("etc/modprobe.d/gpu.conf", "options testgpu c=3\n");
  host_.write("proc/cmdline", "quiet testgpu.d=4\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(host_.kernel.parameters().at("testgpu"), "a=1 b=2 c=3 d=4");
}

TEST_F(GpuModules, AnOptionalModuleWhoseConditionDoesNotHoldIsToldOf) {
  define("[[module]]\nname = \"testgpu-uvm\"\nwhen = { hardware = [\"pci:v00009999*\"] }\n");
  host_.write(kDropIn,
              "[[module]]\nname = \"testgpu-uvm\"\nwhen = { hardware = [\"pci:v00009999*\"] }\n"
              "[[device]]\nnode = \"/dev/testgpu-uvm\"\noptional = true\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_FALSE(is_loaded("testgpu_uvm"));
  bool is_told = false;
  for (const StepReport& step : status.steps) {
    is_told = is_told || step.message.find("testgpu_uvm is not loaded: there is no device") != std::string::npos;
  }
  EXPECT_TRUE(is_told);
  host_.kernel.forget_calls();
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_TRUE(host_.kernel.calls().empty());
}

TEST_F(GpuModules, TheKernelLooksForFirmwareInTheDriverRoot) {
  define("[firmware]\nfrom = \"driver-root\"\n");
  host_.write(kFirmwareFile, "\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_EQ(host_.kernel.state().firmware_path, "/run/testgpu/driver/lib/firmware");
  EXPECT_NE(steps_text(host_.provision()).find("firmware satisfied"), std::string::npos);
}

TEST_F(GpuModules, FirmwareCanComeFromTheImage) {
  define("[firmware]\nfrom = \"image\"\n");
  host_.write(kFirmwareFile, "\n");
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(host_.kernel.state().firmware_path,
            "/run/driverext/mounts/" + test::gpu_root_hash({}) + "/usr/lib/firmware");
}

TEST_F(GpuModules, SomebodyElsesFirmwarePathIsKeptAndReported) {
  define("[firmware]\nfrom = \"driver-root\"\n");
  host_.write("usr/local/firmware/x.bin", "x");
  host_.write(kFirmwareFile, "/usr/local/firmware\n");
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned);
  EXPECT_EQ(text_of(kFirmwareFile), "/usr/local/firmware\n");
  bool is_told = false;
  for (const StepReport& step : status.steps) {
    is_told = is_told || step.message.find("/usr/local/firmware, which somebody else has set") != std::string::npos;
  }
  EXPECT_TRUE(is_told);
}

TEST_F(GpuModules, AStaleFirmwarePathIsRepairedAndPutBackOnFailure) {
  define("[firmware]\nfrom = \"driver-root\"\n");
  host_.write(kFirmwareFile, "/run/gone/driver/lib/firmware\n");
  host_.check_fails_for = "1.0";
  EXPECT_EQ(host_.provision().reason, Reason::check_failed);
  EXPECT_EQ(text_of(kFirmwareFile), "/run/gone/driver/lib/firmware\n");
  host_.check_fails_for.clear();
  must(host_.root().remove_file("var/lib/driverext/state.json"));
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(text_of(kFirmwareFile), "/run/testgpu/driver/lib/firmware\n");
}

}  // namespace
}  // namespace driverext
