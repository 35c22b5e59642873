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
  [[nodiscard]] bool is_loaded(const std::string& name) const { return host_.kernel.state().modules.contains(name); }

  FakeGpuHost host_;
};

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
