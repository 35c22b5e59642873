// Unloading a driver: all of it, or nothing, and whoever is in the way is named.
#include "provisioner/unload/unload.hpp"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "modules/modprobe_config.hpp"
#include "provisioner/stopped_daemons.hpp"
#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

using test::FakeGpuHost;
using test::KernelState;
using test::must;
using test::reason;
using Outcome = UnloadResult::Outcome;

constexpr const char* kOther = "copy_dma";
constexpr const char* kOtherBuild = "0c";
constexpr const char* kDaemon = "testgpu-keeper.service";

/// Holders that let go when they are waited for.
class FakeWatch final : public HolderWatch {
 public:
  explicit FakeWatch(std::function<Waited()> wait) : wait_(std::move(wait)) {}
  bool add(const std::vector<ProcessHolder>& holders) override {
    bool is_new = false;
    for (const ProcessHolder& holder : holders) is_new = pids.insert(holder.pid).second || is_new;
    return is_new;
  }
  Waited wait(uint64_t /*deadline_usec*/, int /*cancel_fd*/) override {
    ++waits;
    return wait_();
  }
  std::set<int> pids;
  int waits = 0;

 private:
  std::function<Waited()> wait_;
};

class Unloading : public ::testing::Test {
 protected:
  Unloading() {
    host_.kernel.show_modules();
    host_.kernel.add_module_file({.name = kOther, .build_id = kOtherBuild, .depends = {"testgpu"}});
    host_.drop_image();
    host_.programs.answer = [this, before = host_.programs.answer](const ProgramRequest& request) {
      return run(request, before);
    };
  }

  // systemd and modprobe, as far as they are asked here.
  Result<std::string> run(const ProgramRequest& request,
                          const std::function<Result<std::string>(const ProgramRequest&)>& others) {
    const std::vector<std::string>& argv = request.argv;
    if (argv[0] == "modprobe") {
      host_.kernel.place_module(argv[1], kOtherBuild);
      return std::string();
    }
    if (argv[0] != "systemctl") return others(request);
    if (argv[1] == "stop") {
      daemons_.erase(argv[2]);
      fs::remove_all(host_.path("proc/77"));
      return std::string();
    }
    if (argv[1] == "start") {
      run_daemon(argv[2]);
      return std::string();
    }
    std::string text;
    for (const std::string& unit : daemons_) {
      if (::fnmatch(argv.back().c_str(), unit.c_str(), 0) == 0) text += unit + " loaded active running a daemon\n";
    }
    return text;
  }
  void run_daemon(const std::string& unit) {
    daemons_.insert(unit);
    hold(77, "keeper", "/system.slice/" + unit, "/dev/testgpuctl");
  }
  void hold(int pid, const std::string& name, const std::string& group, const std::string& node) {
    const std::string folder = "proc/" + std::to_string(pid);
    host_.write(folder + "/comm", name + "\n");
    host_.write(folder + "/cgroup", "0::" + group + "\n");
    must(host_.root().make_link(node, folder + "/fd/3"));
  }
  void let_go(int pid) { fs::remove_all(host_.path("proc/" + std::to_string(pid))); }

  UnloadRequest request() { return {.host = unload_host(), .kernel_release = test::kSampleKernel}; }
  UnloadHost unload_host() {
    definition_ = must(read_definition(host_.root(), test::kGpuDriver));
    definition_.daemons = {{"keeper", "testgpu-*.service", 5}};
    return {host_.root(), host_.kernel, host_.programs, definition_};
  }
  UnloadResult unload() { return must(unload_driver(request())); }
  void provision() { ASSERT_EQ(reason(host_.provision()), "provisioned"); }
  // Provisioned and unloaded once: the host's own modules stay loaded.
  KernelState clean_state() {
    provision();
    EXPECT_EQ(unload().outcome, Outcome::unloaded);
    return host_.kernel.state();
  }
  [[nodiscard]] std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found = host_.files();
    found.erase(std::string(kStatusFile));  // has times in it
    return found;
  }
  // A node that could not be removed leads nowhere; the next provision puts it right.
  [[nodiscard]] KernelState state_but_nodes() const {
    KernelState state = host_.kernel.state();
    state.nodes.clear();
    return state;
  }
  [[nodiscard]] bool is_loaded(const std::string& module) const {
    return host_.kernel.state().modules.contains(module);
  }

  FakeGpuHost host_;
  Definition definition_;
  std::set<std::string> daemons_;
};

TEST_F(Unloading, NothingOfTheDriverIsLeft) {
  const auto before = files();
  provision();
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  const KernelState& state = host_.kernel.state();
  EXPECT_FALSE(is_loaded("testgpu"));
  EXPECT_FALSE(is_loaded("testgpu_uvm"));
  EXPECT_TRUE(state.mounts.empty()) << test::to_text(state);
  EXPECT_TRUE(state.devices.empty()) << test::to_text(state);
  EXPECT_TRUE(state.nodes.empty()) << test::to_text(state);
  EXPECT_EQ(state.loops, 0);
  auto after = files();
  for (const auto& [name, content] : before) after.erase(name);
  for (const char* known : {"etc", "run/driverext"}) after.erase(known);
  for (const auto& [name, content] : after) {
    EXPECT_TRUE(name.starts_with("run/driverext/") || name.starts_with("var/")) << name << " is left";
  }
  EXPECT_FALSE(test::exists(host_.path(test::kGpuCdi)));
  EXPECT_FALSE(test::exists(host_.path("run/testgpu")));
  EXPECT_FALSE(test::exists(host_.path("run/driverext/watched"))) << "no event is waited for";
}

// What others see of it: contract files, and where the kernel looks for firmware.
TEST_F(Unloading, ContractFilesAndFirmwarePathGo) {
  host_.write("sys/module/firmware_class/parameters/path", "\n");
  host_.write("etc/driverext/drivers/testgpu.toml.d/more.toml",
              "[firmware]\nfrom = \"driver-root\"\n"
              "[[root.contract]]\nfile = \"/run/testgpu/validations/ready\"\ntext = \"{root}\"\n");
  host_.configure("[host]\ncontract = true\n");
  ASSERT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_NE(host_.kernel.state().firmware_path, "");
  EXPECT_TRUE(must(host_.root().status("run/testgpu/validations/ready")));
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_EQ(host_.kernel.state().firmware_path, "");
  EXPECT_FALSE(must(host_.root().status("run/testgpu/validations/ready")));
}

TEST_F(Unloading, StatusSaysThatItWasUnloaded) {
  provision();
  unload();
  const Json status = must(parse_json(test::read_whole(host_.path(kStatusFile))));
  test::reached(Reason::unloaded);
  EXPECT_EQ(status["outcome"], "degraded");
  EXPECT_EQ(status["reason"], "unloaded");
  EXPECT_EQ(status["message"], "testgpu 1.0 was unloaded by driverext unload");
  EXPECT_EQ(status["kernelRelease"], test::kSampleKernel);
}

TEST_F(Unloading, AfterwardsItIsProvisionedAsBefore) {
  provision();
  const auto before = files();
  const KernelState state = host_.kernel.state();
  unload();
  provision();
  EXPECT_EQ(files(), before);
  EXPECT_EQ(host_.kernel.state().modules, state.modules);
  EXPECT_EQ(host_.kernel.state().nodes, state.nodes);
  EXPECT_EQ(host_.kernel.state().loops, state.loops);
  EXPECT_EQ(host_.kernel.state().mounts.size(), state.mounts.size());
}

TEST_F(Unloading, AHundredCyclesLeaveNothingBehind) {
  const KernelState state = clean_state();
  const auto left = files();
  for (int i = 0; i < 100; ++i) {
    provision();
    ASSERT_EQ(unload().outcome, Outcome::unloaded) << i;
    ASSERT_EQ(host_.kernel.state(), state) << i << test::to_text(host_.kernel.state());
  }
  EXPECT_EQ(files(), left);
}

TEST_F(Unloading, HalvesAreTakenAwayTogether) {
  FakeGpuHost host;
  host.kernel.show_modules();
  host.drop_halves();
  ASSERT_EQ(reason(host.provision()), "provisioned");
  definition_ = must(read_definition(host.root(), test::kGpuDriver));
  const UnloadResult result =
      must(unload_driver({.host = {host.root(), host.kernel, host.programs, definition_}, .kernel_release = "x"}));
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  EXPECT_EQ(result.facts.images.size(), 2U);
  EXPECT_TRUE(host.kernel.state().mounts.empty());
  EXPECT_TRUE(host.kernel.state().devices.empty());
}

TEST_F(Unloading, ProcessContainerAndModuleAreNamedAndNothingChanges) {
  provision();
  host_.kernel.place_module(kOther, kOtherBuild);
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  hold(43, "infer", "/machine.slice/libpod-" + std::string(64, 'b') + ".scope/container", "/dev/testgpuctl");
  run_daemon(kDaemon);
  const KernelState state = host_.kernel.state();
  const auto before = test::listing(host_.path(""));
  host_.kernel.forget_calls();
  const UnloadResult result = unload();
  test::reached(Reason::driver_in_use);
  EXPECT_EQ(result.outcome, Outcome::in_use);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->reason, Reason::driver_in_use);
  EXPECT_EQ(result.error->message(), "testgpu is in use; nothing was changed");
  EXPECT_EQ(result.plan.in_use,
            (std::vector<std::string>{"sleep (pid 42, job.service) has /dev/testgpu0 open",
                                      "infer (pid 43, libpod-" + std::string(64, 'b') +
                                          ".scope, container bbbbbbbbbbbb) has /dev/testgpuctl open",
                                      "module copy_dma uses testgpu, and would be unloaded with it"}));
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
  EXPECT_EQ(host_.kernel.state(), state);
  EXPECT_EQ(test::listing(host_.path("")), before);
  EXPECT_TRUE(daemons_.contains(kDaemon)) << "it is not stopped for nothing";
}

TEST_F(Unloading, IdleModuleOfOthersGoesFirst) {
  provision();
  host_.kernel.place_module(kOther, kOtherBuild);
  host_.kernel.forget_calls();
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_EQ(host_.kernel.calls().front(), "unload_module copy_dma");
  EXPECT_FALSE(is_loaded(kOther));
}

TEST_F(Unloading, DaemonsAreStoppedBeforeTheModulesGo) {
  provision();
  run_daemon(kDaemon);
  host_.kernel.use_module("testgpu", 1);
  const auto before = host_.programs.answer;
  host_.programs.answer = [&](const ProgramRequest& request) {
    if (request.argv[0] == "systemctl" && request.argv[1] == "stop") {
      EXPECT_EQ(request.timeout_sec, 5U);
      host_.kernel.use_module("testgpu", 0);
    }
    return before(request);
  };
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  EXPECT_EQ(result.reports.front().step.subject, kDaemon);
  EXPECT_TRUE(daemons_.empty());
}

TEST_F(Unloading, DaemonsRunAgainIfSomebodyElseTurnsOutToHoldIt) {
  provision();
  run_daemon(kDaemon);
  host_.kernel.use_module("testgpu", 2);
  const KernelState state = host_.kernel.state();
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::in_use);
  EXPECT_EQ(result.plan.in_use.front(),
            "module testgpu is in use 2 times, by no process with a device that is known to be its own: by the kernel");
  EXPECT_EQ(result.error->message(), "testgpu is in use; nothing was changed");
  EXPECT_TRUE(daemons_.contains(kDaemon));
  EXPECT_EQ(host_.kernel.state(), state);
}

// They are not started and stopped all the while.
TEST_F(Unloading, WhoIsSeenBehindTheDaemonsIsWaitedForWithoutThem) {
  provision();
  run_daemon(kDaemon);
  host_.kernel.use_module("testgpu", 2);
  int looks = 0;
  const auto before = host_.programs.answer;
  host_.programs.answer = [&](const ProgramRequest& request) {
    const bool looks_at_daemons = request.argv[0] == "systemctl" && request.argv[1] == "list-units";
    if (looks_at_daemons && daemons_.empty() && ++looks == 3) host_.kernel.use_module("testgpu", 0);
    return before(request);
  };
  UnloadRequest wanted = request();
  FakeWatch watch([] { return HolderWatch::Waited::changed; });
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  EXPECT_EQ(must(unload_driver(wanted)).outcome, Outcome::unloaded);
  const auto starts = [](const ProgramRequest& request) { return request.argv[1] == "start"; };
  EXPECT_TRUE(std::none_of(host_.programs.requests.begin(), host_.programs.requests.end(), starts));
}

TEST_F(Unloading, SomebodyWhoComesInBetweenIsWaitedForToo) {
  provision();
  host_.kernel.forget_calls();
  host_.kernel.fail_call(2, EBUSY);
  UnloadRequest wanted = request();
  FakeWatch watch([] { return HolderWatch::Waited::changed; });
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  EXPECT_EQ(must(unload_driver(wanted)).outcome, Outcome::unloaded);
}

// Meanwhile device nodes follow their devices.
TEST_F(Unloading, LockIsTakenOnceNobodyHoldsTheDriver) {
  provision();
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  bool is_locked = false;
  FakeWatch watch([&] {
    EXPECT_FALSE(is_locked);
    let_go(42);
    return HolderWatch::Waited::changed;
  });
  UnloadRequest wanted = request();
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  wanted.lock = [&]() -> Result<UniqueFd> {
    is_locked = true;
    return UniqueFd();
  };
  EXPECT_EQ(must(unload_driver(wanted)).outcome, Outcome::unloaded);
  EXPECT_TRUE(is_locked);
}

TEST_F(Unloading, NothingChangesIfAProvisionRuns) {
  provision();
  const KernelState state = host_.kernel.state();
  UnloadRequest wanted = request();
  wanted.lock = []() -> Result<UniqueFd> { return make_error(Errc::transient, "a provision is running"); };
  EXPECT_EQ(test::verdict(unload_driver(wanted)), "transient");
  EXPECT_EQ(host_.kernel.state(), state);
}

TEST_F(Unloading, DaemonsThatWereStoppedRunAgainOnceTheDriverDoes) {
  provision();
  run_daemon(kDaemon);
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_TRUE(daemons_.empty());
  must(start_stopped_daemons(host_.root(), host_.programs));
  EXPECT_EQ(host_.programs.requests.back().argv,
            (std::vector<std::string>{"systemctl", "start", "--no-block", "--", kDaemon}));
  EXPECT_FALSE(test::exists(host_.path(kStoppedDaemons)));
  host_.programs.requests.clear();
  must(start_stopped_daemons(host_.root(), host_.programs));
  EXPECT_TRUE(host_.programs.requests.empty());
}

TEST_F(Unloading, DaemonThatDoesNotEndIsStartedAgainAndNothingChanges) {
  provision();
  run_daemon(kDaemon);
  const KernelState state = host_.kernel.state();
  host_.programs.fail_run(2);  // asked, then stopped
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(host_.programs.requests.back().argv, (std::vector<std::string>{"systemctl", "start", kDaemon}));
  EXPECT_EQ(host_.kernel.state(), state);
}

TEST_F(Unloading, WaitGoesOnUntilTheLastHolderHasLetGo) {
  provision();
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  hold(43, "other", "/system.slice/job.service", "/dev/testgpu1");
  std::vector<int> holders = {43, 42};
  FakeWatch watch([&] {
    let_go(holders.back());
    holders.pop_back();
    return HolderWatch::Waited::changed;
  });
  std::vector<size_t> told;
  UnloadRequest wanted = request();
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  wanted.on_wait = [&](const std::vector<std::string>& in_use) { told.push_back(in_use.size()); };
  EXPECT_EQ(must(unload_driver(wanted)).outcome, Outcome::unloaded);
  EXPECT_EQ(watch.waits, 2);
  EXPECT_EQ(watch.pids, (std::set<int>{42, 43}));
  EXPECT_EQ(told, (std::vector<size_t>{2, 1}));
}

// A driver takes its time to let go of what was closed.
TEST_F(Unloading, WaitGoesOnWhileTheDriverIsClosing) {
  provision();
  host_.kernel.use_module("testgpu", 1);
  FakeWatch watch([&] {
    host_.kernel.use_module("testgpu", 0);
    return HolderWatch::Waited::out_of_time;
  });
  UnloadRequest wanted = request();
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  EXPECT_EQ(must(unload_driver(wanted)).outcome, Outcome::unloaded);
}

TEST_F(Unloading, WaitThatIsOverNamesWhoIsLeft) {
  provision();
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  const KernelState state = host_.kernel.state();
  FakeWatch watch([] { return HolderWatch::Waited::out_of_time; });
  UnloadRequest wanted = request();
  wanted.watch = &watch;
  wanted.wait_until_usec = 1;
  const UnloadResult result = must(unload_driver(wanted));
  EXPECT_EQ(result.outcome, Outcome::in_use);
  EXPECT_EQ(result.plan.in_use, std::vector<std::string>{"sleep (pid 42, job.service) has /dev/testgpu0 open"});
  EXPECT_EQ(host_.kernel.state(), state);
}

TEST_F(Unloading, WaitIsCancelledByASignal) {
  provision();
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  FakeWatch watch([] { return HolderWatch::Waited::cancelled; });
  UnloadRequest wanted = request();
  wanted.watch = &watch;
  wanted.wait_until_usec = monotonic_usec() + 60'000'000;
  EXPECT_EQ(test::verdict(unload_driver(wanted)), "transient");
}

TEST_F(Unloading, PlanChangesNothing) {
  provision();
  const KernelState state = host_.kernel.state();
  const auto before = test::listing(host_.path(""));
  host_.kernel.forget_calls();
  const UnloadResult result = must(describe_unload(unload_host()));
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  EXPECT_FALSE(result.plan.steps.empty());
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
  EXPECT_EQ(host_.kernel.state(), state);
  EXPECT_EQ(test::listing(host_.path("")), before);
}

TEST_F(Unloading, NothingLoadedIsFine) {
  EXPECT_EQ(unload().outcome, Outcome::nothing_loaded);
  clean_state();
  EXPECT_EQ(unload().outcome, Outcome::nothing_loaded);
  EXPECT_EQ(must(describe_unload(unload_host())).outcome, Outcome::nothing_loaded);
}

TEST_F(Unloading, FileForModprobeGoesFirstAndComesBack) {
  const std::string name(kOwnModprobeFile);
  provision();
  host_.write(name, "install testgpu /bin/true\n");
  host_.kernel.forget_calls();
  host_.kernel.fail_call(2, EBUSY);
  EXPECT_EQ(unload().outcome, Outcome::in_use);
  EXPECT_EQ(test::read_whole(host_.path(name)), "install testgpu /bin/true\n");
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_FALSE(test::exists(host_.path(name)));
}

TEST_F(Unloading, ImageThatIsStillInUseGoesWithItsLastUser) {
  provision();
  const std::string mount = host_.path("run/driverext/mounts/" + test::gpu_root_hash({}));
  host_.kernel.use_mount(mount);
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  EXPECT_EQ(result.reports.back().message, "files of it are still in use; it goes with its last user");
  EXPECT_TRUE(host_.kernel.state().mounts.empty());
}

TEST_F(Unloading, MergedProgramsGoFromTheHost) {
  host_.configure("[host]\nmerge = true\n");
  provision();
  ASSERT_TRUE(test::exists(host_.path(kManifestPath)));
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_FALSE(test::exists(host_.path(kManifestPath)));
  EXPECT_TRUE(must(host_.root().list("run/extensions")).empty());
}

// A person's own files stay what they are, also where they name the driver root.
TEST_F(Unloading, ConfigurationOfEnginesStays) {
  host_.install_engines();
  provision();
  const auto before = files();
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_EQ(files().at(test::kDockerConfig), before.at(test::kDockerConfig));
  EXPECT_EQ(files().at(test::kGpuToolkitConfig), before.at(test::kGpuToolkitConfig));
}

TEST_F(Unloading, WhatIsNotOursStays) {
  provision();
  host_.write(test::kGpuCdi, "cdiVersion: 0.5.0\nkind: test.example/gpu\n");
  const std::string place = host_.path("run/driverext/mounts/foreign");
  fs::create_directories(place);
  host_.kernel.place_mount(place);
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::unloaded);
  EXPECT_TRUE(test::exists(host_.path(test::kGpuCdi)));
  EXPECT_TRUE(host_.kernel.state().mounts.contains(place));
  EXPECT_EQ(result.facts.stays.front(), "/run/driverext/mounts/foreign was not mounted by a provision");
}

// ModifyDeviceFiles: 0. Also at another unload, when the driver is not there to say so.
TEST_F(Unloading, NodesThatTheDriverLeavesToOthersStay) {
  host_.kernel.add_report("testgpu", "proc/driver/testgpu/params", "ModifyDeviceFiles: 0\n");
  const std::map<std::string, DeviceNode> nodes = {{host_.path("dev/testgpuctl"), {195, 255, 0600, 1, 1}},
                                                   {host_.path("dev/testgpu0"), {195, 0, 0600, 1, 1}},
                                                   {host_.path("dev/testgpu1"), {195, 1, 0600, 1, 1}},
                                                   {host_.path("dev/testgpu-uvm"), {238, 0, 0600, 1, 1}}};
  for (const auto& [path, node] : nodes) host_.kernel.place_node(path, node);
  provision();
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_EQ(host_.kernel.state().nodes, nodes);
  EXPECT_EQ(unload().outcome, Outcome::nothing_loaded);
  EXPECT_EQ(host_.kernel.state().nodes, nodes);
}

TEST_F(Unloading, NodesGoAlsoIfPartOfTheDriverIsGoneAlready) {
  provision();
  must(host_.kernel.unload_module("testgpu_uvm"));
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_TRUE(host_.kernel.state().nodes.empty()) << test::to_text(host_.kernel.state());
  EXPECT_TRUE(must(host_.root().list("dev/char")).empty());
}

TEST_F(Unloading, NodesOfADriverThatIsGoneAreTakenAwayWithTheirLinks) {
  provision();
  for (const char* name : {"testgpu_uvm", "testgpu"}) must(host_.kernel.unload_module(name));
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_TRUE(host_.kernel.state().nodes.empty()) << test::to_text(host_.kernel.state());
  EXPECT_TRUE(must(host_.root().list("dev/char")).empty());
}

// The host's own, or another installer's.
TEST_F(Unloading, ModuleOfTheSameNameThatIsLoadedFromElsewhereStays) {
  host_.kernel.place_module("testgpu", "ee");
  host_.kernel.forget_calls();
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::nothing_loaded);
  EXPECT_EQ(result.facts.stays.front(), "module testgpu was not loaded from an image that is mounted here");
  EXPECT_TRUE(is_loaded("testgpu"));
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
}

TEST_F(Unloading, FilesOfTheSameNameThatOthersWroteStay) {
  host_.write("etc/driverext/drivers/testgpu.toml.d/more.toml",
              "[[root.contract]]\nfile = \"/run/testgpu/validations/ready\"\ntext = \"{root}\"\n");
  provision();
  host_.write("run/testgpu/validations/ready", "the validator's\n");
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_EQ(test::read_whole(host_.path("run/testgpu/validations/ready")), "the validator's\n");
}

// Nobody is to take the driver for loaded while its modules go.
TEST_F(Unloading, ContractFilesGoFirstAndComeBack) {
  host_.write("etc/driverext/drivers/testgpu.toml.d/more.toml",
              "[[root.contract]]\nfile = \"/run/testgpu/ready\"\ntext = \"{root}\"\n");
  host_.configure("[host]\ncontract = true\n");
  provision();
  host_.kernel.forget_calls();
  host_.kernel.fail_call(2, EBUSY);
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::in_use);
  EXPECT_EQ(unload_step_name(result.reports.front().step.kind), "contract");
  EXPECT_EQ(test::read_whole(host_.path("run/testgpu/ready")), "/run/testgpu/driver");
}

TEST_F(Unloading, RefreshThatFailsIsTriedAgainByTheNextUnload) {
  host_.configure("[host]\nmerge = true\n");
  provision();
  const auto before = host_.programs.answer;
  host_.programs.answer = [&](const ProgramRequest& request) -> Result<std::string> {
    if (request.argv[0] == "systemd-sysext") return make_error(Errc::internal, "it says no");
    return before(request);
  };
  EXPECT_EQ(unload().outcome, Outcome::left_over);
  host_.programs.answer = before;
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_TRUE(must(host_.root().list("run/extensions")).empty());
}

TEST_F(Unloading, RootOfSomebodyElseStays) {
  provision();
  must(host_.kernel.detach(host_.path(test::kGpuRoot)));
  host_.kernel.place_mount(host_.path(test::kGpuRoot));
  EXPECT_EQ(unload().outcome, Outcome::unloaded);
  EXPECT_TRUE(host_.kernel.state().mounts.contains(host_.path(test::kGpuRoot)));
}

// Wherever it fails: as long as a module is left all is as before; after that another unload takes the rest away.
TEST_F(Unloading, AnyCallThatFailsLeavesAllOrNothing) {
  const KernelState clean = clean_state();
  const auto left = files();
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    provision();
    host_.kernel.place_module(kOther, kOtherBuild);
    const KernelState before = host_.kernel.state();
    const auto files_before = files();
    host_.kernel.forget_calls();
    host_.kernel.fail_call(n, n % 2 == 0 ? EBUSY : EIO);
    const UnloadResult result = unload();
    const bool is_over = host_.kernel.side_effects() < n;
    host_.kernel.forget_calls();
    if (is_over) break;
    if (result.outcome == Outcome::in_use || result.outcome == Outcome::failed) {
      EXPECT_EQ(host_.kernel.state(), before);
      EXPECT_EQ(files(), files_before);
      EXPECT_NE(result.error->message().find("nothing was changed"), std::string::npos) << result.error->message();
    } else {
      EXPECT_FALSE(is_loaded("testgpu"));
    }
    const Outcome next = unload().outcome;
    EXPECT_TRUE(next == Outcome::unloaded || next == Outcome::nothing_loaded);
    EXPECT_EQ(state_but_nodes(), clean);
    EXPECT_EQ(files(), left);
    ASSERT_LT(n, 100);
  }
}

TEST_F(Unloading, AnyQuestionThatFailsLeavesAllOrNothing) {
  const KernelState clean = clean_state();
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    provision();
    const KernelState before = host_.kernel.state();
    host_.kernel.forget_calls();
    host_.kernel.fail_question(n, EIO);
    const Result<UnloadResult> result = unload_driver(request());
    const bool is_over = host_.kernel.questions() < n;
    host_.kernel.forget_calls();
    if (is_over) break;
    if (is_loaded("testgpu")) {
      EXPECT_EQ(host_.kernel.state(), before);
    }
    EXPECT_EQ(!result || result->outcome == Outcome::failed, is_loaded("testgpu"));
    const Outcome next = unload().outcome;
    EXPECT_TRUE(next == Outcome::unloaded || next == Outcome::nothing_loaded);
    EXPECT_EQ(state_but_nodes(), clean);
    ASSERT_LT(n, 200);
  }
}

TEST_F(Unloading, ModuleThatDoesNotComeBackIsTold) {
  provision();
  host_.kernel.forget_calls();
  host_.kernel.fail_call(2, EBUSY);
  host_.replace_module({}, 0);
  // Its first module cannot be removed, and the one on top of it cannot be loaded any more.
  const std::string file = host_.path("run/driverext/mounts/" + test::gpu_root_hash({}) + "/usr/lib/modules/" +
                                      test::kSampleKernel + "/driverext/testgpu/testgpu-uvm.ko");
  fs::remove(file);
  const UnloadResult result = unload();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_NE(result.error->message().find("testgpu_uvm is not back"), std::string::npos) << result.error->message();
  EXPECT_EQ(result.error->message().find("nothing was changed"), std::string::npos) << result.error->message();
}

TEST_F(Unloading, JsonHasWhatScriptsAskFor) {
  provision();
  hold(42, "sleep", "/system.slice/job.service", "/dev/testgpu0");
  const OrderedJson json = unload_to_json(unload());
  EXPECT_EQ(json["outcome"], "in-use");
  EXPECT_EQ(json["processes"][0]["pid"], 42);
  EXPECT_EQ(json["processes"][0]["unit"], "job.service");
  EXPECT_EQ(json["processes"][0]["devices"][0], "/dev/testgpu0");
  EXPECT_EQ(json["modules"][0]["name"], "testgpu");
  EXPECT_EQ(json["plan"][0]["step"], "modprobe");
  EXPECT_EQ(json["plan"][1]["step"], "module");
  EXPECT_TRUE(json["steps"].empty());
}

}  // namespace
}  // namespace driverext
