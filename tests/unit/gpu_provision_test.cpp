// The whole pipeline over a driver that leaves its device nodes to user space and brings libraries and programs.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.hpp"
#include "support/fake_gpu_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeGpuHost;
using test::KernelState;
using test::must;
using test::steps_text;

using test::reason;

class GpuProvision : public ::testing::Test {
 protected:
  GpuProvision() { host_.drop_image(); }
  [[nodiscard]] std::string link(const std::string& name) const {
    return must(host_.root().read_link(name)).value_or("no link");
  }
  [[nodiscard]] DeviceNode node(const std::string& name) const {
    const auto& nodes = host_.kernel.state().nodes;
    const auto found = nodes.find(host_.path(name));
    return found == nodes.end() ? DeviceNode() : found->second;
  }
  [[nodiscard]] Json cdi() const { return must(parse_json(test::read_whole(host_.path(test::kGpuCdi)))); }
  void expect_undone(const KernelState& kernel, const std::map<std::string, std::string>& files) {
    EXPECT_EQ(host_.kernel.state(), kernel) << test::to_text(host_.kernel.state());
    EXPECT_EQ(host_.files(), files);
  }
  FakeGpuHost host_;
};

TEST_F(GpuProvision, AllStepsInOrder) {
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(steps_text(status),
            "import done, verify done, attach done, load done, devices done, root done, check satisfied, toolkit done, "
            "commit done");
  EXPECT_TRUE(status.put_aside.empty());
  EXPECT_EQ(status.kernels_ready, std::vector<std::string>{test::kSampleKernel});
}

TEST_F(GpuProvision, NodesHaveTheNumbersAndModesThatTheDriverReports) {
  host_.provision();
  EXPECT_EQ(host_.kernel.state().nodes.size(), 4U) << test::to_text(host_.kernel.state());
  EXPECT_EQ(node("dev/testgpuctl"), (DeviceNode{195, 255, 0660, 0, 44}));
  EXPECT_EQ(node("dev/testgpu0"), (DeviceNode{195, 0, 0660, 0, 44}));
  EXPECT_EQ(node("dev/testgpu1"), (DeviceNode{195, 1, 0660, 0, 44}));
  EXPECT_EQ(node("dev/testgpu-uvm"), (DeviceNode{238, 0, 0660, 0, 44}));
}

// runc's systemd cgroup rules name devices by them, and drop what has none.
TEST_F(GpuProvision, EveryNodeHasItsLinkInDevChar) {
  host_.provision();
  EXPECT_EQ(link("dev/char/195:255"), "../testgpuctl");
  EXPECT_EQ(link("dev/char/195:0"), "../testgpu0");
  EXPECT_EQ(link("dev/char/195:1"), "../testgpu1");
  EXPECT_EQ(link("dev/char/238:0"), "../testgpu-uvm");
}

TEST_F(GpuProvision, NodeThatIsNotWhatTheDriverReportsIsReplaced) {
  host_.kernel.place_node(host_.path("dev/testgpu0"), {194, 0, 0666, 0, 0});
  host_.kernel.place_node(host_.path("dev/testgpu1"), {195, 1, 0660, 0, 44});
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(node("dev/testgpu0"), (DeviceNode{195, 0, 0660, 0, 44}));
  EXPECT_EQ(node("dev/testgpu1"), (DeviceNode{195, 1, 0660, 0, 44}));
}

TEST_F(GpuProvision, DriverRootIsMountedWholeAndNothingIsLeftAside) {
  host_.provision();
  const auto& mounts = host_.kernel.state().mounts;
  const std::string place = host_.path(test::kGpuRoot);
  std::string below;
  for (const auto& [target, mount] : mounts) {
    if (target.starts_with(place)) below += target.substr(place.size()) + " ";
  }
  EXPECT_EQ(below, " /dev /proc /sys /usr ");
  EXPECT_EQ(mounts.size(), 6U) << test::to_text(host_.kernel.state());  // those, and the image
  EXPECT_EQ(mounts.at(place + "/usr").number,
            mounts.at(host_.path("run/driverext/mounts/" + test::gpu_root_hash({}))).number);
  EXPECT_TRUE(must(host_.root().list("run/driverext/roots")).empty());
  const std::string root = std::string(test::kGpuRoot) + "/";
  EXPECT_EQ(test::read_whole(host_.path(root + "usr/bin/tool")), "a program of 1.0");
  EXPECT_EQ(link(root + "bin"), "usr/bin");
  EXPECT_EQ(link(root + "lib"), "usr/lib");
  EXPECT_EQ(link(root + "sbin"), "no link");  // the image has none
  EXPECT_EQ(test::read_whole(host_.path(root + "etc/ld.so.cache")), "the cache");
  EXPECT_EQ(must(host_.root().list(root + "etc")), (std::vector<std::string>{"ld.so.cache", "ld.so.conf"}));
}

// A C library for hosts whose own is another one: it must not come into the host's way when it is merged.
TEST_F(GpuProvision, WhatOnlyTheRootNeedsIsLinkedFromItsOwnFolder) {
  FakeGpuHost host;
  host.drop_image({.version = "1.0-libc",
                   .more_files = {{std::string(kRootOnlyFolder) + "/lib64/ld-linux-x86-64.so.2", "a loader"}}});
  EXPECT_EQ(reason(host.provision()), "provisioned");
  const std::string root = std::string(test::kGpuRoot) + "/";
  EXPECT_EQ(must(host.root().read_link(root + "lib64")), std::string(kRootOnlyFolder) + "/lib64");
  EXPECT_EQ(must(host.root().read_link(root + "lib")), "usr/lib");
  EXPECT_EQ(test::read_whole(host.path(root + "lib64/ld-linux-x86-64.so.2")), "a loader");
}

TEST_F(GpuProvision, CheckRunsInsideTheDriverRoot) {
  host_.provision();
  ASSERT_EQ(host_.programs.commands, (std::vector<std::string>{"ldconfig", "tool"}));
  const ProgramRequest& check = host_.programs.requests[1];
  EXPECT_EQ(check.argv, (std::vector<std::string>{"tool", "-L"}));
  EXPECT_EQ(check.root, host_.path(test::kGpuRoot));
  EXPECT_GT(check.timeout_sec, 0U);  // a driver that hangs must not hang the boot
  ASSERT_FALSE(check.added_environment.empty());
  EXPECT_TRUE(check.added_environment[0].starts_with("PATH=/"));
  // Before it is in place.
  EXPECT_EQ(host_.programs.requests[0].argv.back(), host_.path("run/driverext/roots/" + test::gpu_root_hash({})));
}

TEST_F(GpuProvision, SecondProvisionTouchesNeitherKernelNorFiles) {
  host_.install_engines();
  host_.configure("[host]\nmerge = true\n");
  host_.provision();
  const KernelState kernel = host_.kernel.state();
  const auto files = test::listing(host_.path(""));
  host_.kernel.forget_calls();
  host_.programs.commands.clear();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned");
  EXPECT_EQ(steps_text(status),
            "import satisfied, verify satisfied, attach satisfied, load satisfied, devices satisfied, root satisfied, "
            "check satisfied, toolkit satisfied, merge satisfied, commit satisfied");
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
  EXPECT_EQ(host_.programs.commands, std::vector<std::string>{"tool"});  // it only looks
  EXPECT_EQ(host_.kernel.state(), kernel);
  EXPECT_EQ(test::listing(host_.path("")), files);
}

TEST_F(GpuProvision, SpecificationNamesEveryGpuByNumberUuidAndAll) {
  host_.provision();
  const Json spec = cdi();
  EXPECT_EQ(spec["kind"], "test.example/gpu");
  std::map<std::string, std::string> devices;
  for (const Json& device : spec["devices"]) {
    for (const Json& node : device["containerEdits"]["deviceNodes"]) {
      devices[device["name"]] += node["path"].get<std::string>() + " ";
    }
  }
  EXPECT_EQ(devices, (std::map<std::string, std::string>{{"0", "/dev/testgpu1 "},
                                                         {"1", "/dev/testgpu0 "},
                                                         {"GPU-aaaa", "/dev/testgpu1 "},
                                                         {"GPU-bbbb", "/dev/testgpu0 "},
                                                         {"all", "/dev/testgpu0 /dev/testgpu1 "}}));
  std::string common;
  for (const Json& node : spec["containerEdits"]["deviceNodes"]) common += node["path"].get<std::string>() + " ";
  EXPECT_EQ(common, "/dev/testgpu-uvm /dev/testgpuctl ");
}

TEST_F(GpuProvision, SpecificationShowsThisVersionsLibrariesTheirLinksAndTheNamedPrograms) {
  host_.provision();
  std::map<std::string, std::string> mounts;
  const Json spec = cdi();
  for (const Json& mount : spec["containerEdits"]["mounts"]) mounts[mount["containerPath"]] = mount["hostPath"];
  const std::string folder = "/usr/lib/x86_64-linux-gnu/";
  const std::string root = "/" + std::string(test::kGpuRoot);
  EXPECT_EQ(mounts, (std::map<std::string, std::string>{
                        {"/usr/bin/tool", root + "/usr/bin/tool"},
                        {folder + "libtest.so", root + folder + "libtest.so.1.0"},
                        {folder + "libtest.so.1", root + folder + "libtest.so.1.0"},
                        {folder + "libtest.so.1.0", root + folder + "libtest.so.1.0"},
                    }));
}

TEST_F(GpuProvision, WithoutEnginesOnlyTheSpecificationIsWritten) {
  host_.provision();
  EXPECT_TRUE(test::exists(host_.path(test::kGpuCdi)));
  EXPECT_FALSE(test::exists(host_.path(test::kGpuToolkitConfig)));
  EXPECT_FALSE(test::exists(host_.path(test::kDockerConfig)));
}

TEST_F(GpuProvision, InstalledEnginesAreToldAndKeepTheirOwnSettings) {
  host_.install_engines();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  const Json docker = must(parse_json(test::read_whole(host_.path(test::kDockerConfig))));
  EXPECT_EQ(docker["log-driver"], "journald");
  EXPECT_EQ(docker["runtimes"]["testgpu"]["path"], "/usr/bin/testgpu-runtime");
  EXPECT_EQ(test::read_whole(host_.path(test::kGpuToolkitConfig)),
            "# settings of ours\n[cli]\n#root = \"/\"\nroot = \"/run/testgpu/driver\"\ndebug = \"/var/log/x\"\n");
  EXPECT_EQ(must(host_.root().status(test::kDockerConfig))->st_mode & 07777, 0600U);
  EXPECT_EQ(must(host_.root().status(test::kGpuToolkitConfig))->st_mode & 07777, 0640U);
}

TEST_F(GpuProvision, OnlyWhatIsAskedForIsConfigured) {
  host_.install_engines();
  const auto before = host_.files();
  host_.configure("[toolkit]\nconfigure = []\n");
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_FALSE(test::exists(host_.path(test::kGpuCdi)));
  EXPECT_EQ(host_.files().at(test::kDockerConfig), before.at(test::kDockerConfig));
  EXPECT_EQ(host_.files().at(test::kGpuToolkitConfig), before.at(test::kGpuToolkitConfig));
  host_.configure("[toolkit]\nconfigure = [\"docker\"]\n");
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_NE(host_.files().at(test::kDockerConfig), before.at(test::kDockerConfig));
  EXPECT_EQ(host_.files().at(test::kGpuToolkitConfig), before.at(test::kGpuToolkitConfig));
}

TEST_F(GpuProvision, EnginesThatAreToBeInstalledLaterCanBeConfiguredNow) {
  host_.configure("[toolkit]\nconfigure = [\"cdi\", \"config\", \"docker\"]\n");
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_TRUE(test::exists(host_.path(test::kGpuToolkitConfig)));
  EXPECT_TRUE(test::exists(host_.path(test::kDockerConfig)));
}

TEST_F(GpuProvision, EnginesFileThatIsBrokenIsToldAndHoldsNothingUp) {
  host_.install_engines();
  host_.write(test::kDockerConfig, "{ \"log-driver\": ");
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(test::read_whole(host_.path(test::kDockerConfig)), "{ \"log-driver\": ");
  const StepReport& toolkit = status.steps[7];
  EXPECT_NE(toolkit.message.find("toolkit-config-invalid"), std::string::npos) << toolkit.message;
  EXPECT_NE(toolkit.message.find(test::kDockerConfig), std::string::npos) << toolkit.message;
  EXPECT_TRUE(test::exists(host_.path(test::kGpuCdi)));  // the others are done
}

// Configuration managers keep files elsewhere, and a link at their place.
TEST_F(GpuProvision, EnginesFileBehindALinkDoesNotBecomeWritableForEverybody) {
  host_.install_engines();
  must(host_.root().remove_file(test::kDockerConfig));
  host_.write("etc/managed/daemon.json", "{}\n", 0600);
  must(host_.root().make_link("../managed/daemon.json", test::kDockerConfig));
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  struct stat info {};
  ASSERT_EQ(::stat(host_.path(test::kDockerConfig).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0022U, 0U) << std::oct << info.st_mode;
}

TEST_F(GpuProvision, LinkToAnEnginesFileIsThatLinkAgainWhenALaterStepFails) {
  host_.install_engines();
  must(host_.root().remove_file(test::kDockerConfig));
  host_.write("etc/managed/daemon.json", "{}\n", 0600);
  must(host_.root().make_link("../managed/daemon.json", test::kDockerConfig));
  host_.configure("[host]\nmerge = true\n");
  const auto files = host_.files();
  host_.programs.fail_run(3);
  EXPECT_EQ(reason(host_.provision()), "merge-failed");
  EXPECT_EQ(host_.files(), files);
}

TEST_F(GpuProvision, MergedExtensionIsLinkedToTheVerifiedMount) {
  host_.configure("[host]\nmerge = true\n");
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(steps_text(status).find("merge done") == std::string::npos, false) << steps_text(status);
  EXPECT_EQ(link("run/extensions/testgpu"), "../driverext/mounts/" + test::gpu_root_hash({}));
  EXPECT_EQ(host_.programs.requests.back().argv, (std::vector<std::string>{"systemd-sysext", "refresh"}));
  EXPECT_EQ(test::read_whole(host_.path(kManifestPath)), format_manifest(test::gpu_manifest({})));
}

// An image for every kernel and one for each: what a node fetches when its OS updates is the small one.
class GpuHalves : public ::testing::Test {
 protected:
  FakeGpuHost host_;
};

TEST_F(GpuHalves, ModulesAndUserlandAreOneDriver) {
  host_.drop_halves();
  host_.configure("[host]\nmerge = true\n");
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(steps_text(status),
            "import done, verify done, attach done, verify done, attach done, load done, devices done, root done, "
            "check satisfied, toolkit done, merge done, commit done");
  EXPECT_EQ(host_.version_in_root(), "1.0");
  const std::string userland = test::gpu_root_hash({.kind = Kind::userland});
  EXPECT_EQ(status.image->root_hash, test::gpu_root_hash({.kind = Kind::modules}));
  ASSERT_TRUE(status.userland);
  EXPECT_EQ(status.userland->root_hash, userland);
  EXPECT_NE(status.userland->path.find("store/" + userland), std::string::npos) << status.userland->path;
  EXPECT_EQ(host_.kernel.state().mounts.at(host_.path(test::kGpuRoot) + "/usr").number,
            host_.kernel.state().mounts.at(host_.path("run/driverext/mounts/" + userland)).number);
  EXPECT_EQ(must(host_.root().read_link("run/extensions/testgpu-userland")), "../driverext/mounts/" + userland);
  EXPECT_EQ(host_.state().of(test::kSampleKernel).good.front().root_hash, status.image->root_hash);

  host_.kernel.forget_calls();
  EXPECT_EQ(steps_text(host_.provision()).find("done"), std::string::npos);
  EXPECT_EQ(host_.kernel.calls(), std::vector<std::string>());
}

TEST_F(GpuHalves, ModulesWithoutTheirUserlandAreNotLoaded) {
  host_.drop_image({.kind = Kind::modules});
  host_.drop_image({.version = "2.0", .kind = Kind::userland});
  const KernelState kernel = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "userland-missing");
  EXPECT_NE(status.message.find("userland image 1.0"), std::string::npos) << status.message;
  EXPECT_EQ(host_.kernel.state(), kernel);
  EXPECT_TRUE(status.kernels_ready.empty());
}

TEST_F(GpuHalves, WholeImageIsTakenWhileTheNewerModulesLackTheirUserland) {
  host_.drop_image();
  host_.drop_image({.version = "2.0", .created = 1'750'000'000, .kind = Kind::modules});
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.image->version, "1.0");
}

TEST_F(GpuHalves, UserlandAloneIsNoImageForThisKernel) {
  host_.drop_image({.kind = Kind::userland});
  EXPECT_EQ(reason(host_.provision()), "no-image");
}

TEST_F(GpuProvision, ImageThatBringsTrustAnchorsIsNotMerged) {
  FakeGpuHost host;
  const std::string anchor = "usr/lib/driverext/trust/of-the-image.crt";
  host.configure("[host]\nmerge = true\n");
  host.drop_image();
  host.kernel.add_file(test::gpu_root_hash({}), anchor, "a certificate");
  const auto files = host.files();
  const Status status = host.provision();
  EXPECT_EQ(reason(status), "merge-failed");
  EXPECT_NE(status.message.find("usr/lib/driverext/trust"), std::string::npos) << status.message;
  EXPECT_EQ(host.files(), files);
}

TEST_F(GpuHalves, UserlandForThisOsComesBeforeANewerOneForAnother) {
  host_.write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
  host_.drop_halves();
  const test::GpuImageOptions other{.created = 1'750'000'000, .kind = Kind::userland, .os_version_id = "13"};
  host_.drop_image(other);
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.userland->root_hash, test::gpu_root_hash({.kind = Kind::userland}));
}

// systemd-sysext ends well also when it has merged nothing.
TEST_F(GpuProvision, MergeIsBelievedByItsResultNotByItsExitCode) {
  host_.configure("[host]\nmerge = true\n");
  const auto usual = host_.programs.answer;
  host_.programs.answer = [usual](const ProgramRequest& request) {
    return request.argv.front() == "systemd-sysext" ? Result<std::string>("No suitable extensions found (1 ignored).")
                                                    : usual(request);
  };
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "merge-failed");
  EXPECT_NE(status.message.find("1 ignored"), std::string::npos) << status.message;
  expect_undone(kernel, files);
  EXPECT_TRUE(status.put_aside.empty());  // the image is not to blame
}

TEST_F(GpuProvision, ForeignExtensionOfThatNameIsAConflict) {
  host_.configure("[host]\nmerge = true\n");
  host_.write("run/extensions/testgpu/usr/lib/x", "somebody's own");
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  EXPECT_EQ(reason(host_.provision()), "merge-failed");
  expect_undone(kernel, files);
}

TEST_F(GpuProvision, FailedCheckUndoesEverything) {
  host_.install_engines();
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  host_.check_fails_for = "1.0";
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "check-failed");
  EXPECT_NE(status.message.find("no devices were found"), std::string::npos) << status.message;
  EXPECT_EQ(steps_text(status),
            "import done, verify done, attach undone, load undone, devices undone, root undone, check failed");
  expect_undone(kernel, files);
}

TEST_F(GpuProvision, EnginesFilesAreRestoredWhenALaterStepFails) {
  host_.install_engines();
  host_.configure("[host]\nmerge = true\n");
  const auto files = host_.files();
  host_.programs.fail_run(3);  // ldconfig, tool, systemd-sysext
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "merge-failed");
  EXPECT_NE(steps_text(status).find("toolkit undone, merge failed"), std::string::npos) << steps_text(status);
  EXPECT_EQ(host_.files(), files);
}

TEST_F(GpuProvision, SpecificationOfTheBootBeforeIsRestoredToo) {
  host_.write(test::kGpuCdi, "{\"cdiVersion\": \"0.5.0\", \"kind\": \"test.example/gpu\"}");
  host_.configure("[host]\nmerge = true\n");
  const auto files = host_.files();
  host_.programs.fail_run(3);
  EXPECT_EQ(reason(host_.provision()), "merge-failed");
  EXPECT_EQ(host_.files(), files);
}

TEST_F(GpuProvision, DriverWithoutItsHardwareIsADeviceMissing) {
  host_.replace_module({}, 0, false);
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "device-missing");
  expect_undone(kernel, files);
}

TEST_F(GpuProvision, ForeignMountAtTheDriverRootIsAConflict) {
  must(host_.root().make_dirs(test::kGpuRoot, 0755));
  host_.kernel.place_mount(host_.path(test::kGpuRoot));
  const KernelState kernel = host_.kernel.state();
  EXPECT_EQ(reason(host_.provision()), "mount-conflict");
  EXPECT_EQ(host_.kernel.state(), kernel);
}

// ModifyDeviceFiles: 0 says that nodes are somebody else's.
class GpuNodesOfOthers : public GpuProvision {
 protected:
  GpuNodesOfOthers() {
    host_.kernel.add_report("testgpu", "proc/driver/testgpu/params", "ModifyDeviceFiles: 0\n");  // the later one stays
  }
  void place_nodes() {
    host_.kernel.place_node(host_.path("dev/testgpuctl"), {195, 255, 0600, 1, 1});
    host_.kernel.place_node(host_.path("dev/testgpu0"), {195, 0, 0600, 1, 1});
    host_.kernel.place_node(host_.path("dev/testgpu1"), {195, 1, 0600, 1, 1});
    host_.kernel.place_node(host_.path("dev/testgpu-uvm"), {238, 0, 0600, 1, 1});
  }
};

TEST_F(GpuNodesOfOthers, AreNotMade) {
  const KernelState kernel = host_.kernel.state();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "device-missing");
  EXPECT_NE(status.message.find("leave device files alone"), std::string::npos) << status.message;
  EXPECT_EQ(host_.kernel.state(), kernel);
}

TEST_F(GpuNodesOfOthers, AreUsedAsTheyAre) {
  place_nodes();
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(node("dev/testgpu0"), (DeviceNode{195, 0, 0600, 1, 1}));
  EXPECT_EQ(link("dev/char/195:0"), "../testgpu0");
}

TEST_F(GpuNodesOfOthers, StayWhenALaterStepFails) {
  place_nodes();
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  host_.check_fails_for = "1.0";
  EXPECT_EQ(reason(host_.provision()), "check-failed");
  expect_undone(kernel, files);
}

TEST_F(GpuProvision, NodeThatWasThereBeforeIsThereAgainWhenALaterStepFails) {
  host_.kernel.place_node(host_.path("dev/testgpu0"), {195, 0, 0600, 1, 1});  // right number, another owner
  must(host_.root().make_link("../testgpu0", "dev/char/195:0"));
  const KernelState kernel = host_.kernel.state();
  const auto files = host_.files();
  host_.check_fails_for = "1.0";
  EXPECT_EQ(reason(host_.provision()), "check-failed");
  expect_undone(kernel, files);
}

// A provision that was killed while it put the driver root together.
TEST_F(GpuProvision, DriverRootThatWasLeftHalfDoneIsPutTogetherAnew) {
  const std::string aside = "run/driverext/roots/" + test::gpu_root_hash({});
  host_.kernel.place_root(host_.path(aside), {});
  must(host_.root().make_dirs(aside + "/usr", 0755));
  host_.kernel.place_mount(host_.path(aside + "/usr"));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_TRUE(must(host_.root().list("run/driverext/roots")).empty());
}

TEST_F(GpuProvision, DryRunTellsEveryStepAndChangesNothing) {
  host_.install_engines();
  const auto files = test::listing(host_.path(""));
  const std::string text = must(describe_plan(host_.host())).text;
  for (const char* step : {"root: ", "check: ", "toolkit: ", "commit: "}) {
    EXPECT_NE(text.find(step), std::string::npos) << text;
  }
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  EXPECT_TRUE(host_.programs.commands.empty());
  EXPECT_EQ(test::listing(host_.path("")), files);
}

}  // namespace
}  // namespace driverext
