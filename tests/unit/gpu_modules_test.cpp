// Loading the modules of a driver on a host that has something to say about it: other drivers, modprobe.d, firmware.
#include <gtest/gtest.h>

#include <cerrno>

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
const std::string kModprobeFile(kOwnModprobeFile);
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
  EXPECT_NE(text_of(kModprobeFile).find("blacklist oldgpu\n"), std::string::npos);
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
