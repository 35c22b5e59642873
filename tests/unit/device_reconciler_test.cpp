// Device nodes become what the kernel reports: right ones are left alone, wrong ones replaced, stale ones removed; and
// whatever fails on the way, all of it is taken back.
#include "provisioner/device_reconciler.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "provisioner/execute.hpp"
#include "support/fake_kernel.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;
using test::KernelState;
using test::message;
using test::must;
using test::verdict;

constexpr const char* kDefinition = R"(name = "gpu"
[[module]]
name = "gpu"
[[device]]
node = "/dev/gpuctl"
registered_as = ["gpu"]
minor = 255
permissions = "/proc/driver/gpu/params"
[[device]]
node = "/dev/gpu{minor}"
registered_as = ["gpu"]
each = "/proc/driver/gpu/units/*/information"
minor = "Minor"
permissions = "/proc/driver/gpu/params"
[[device]]
node = "/dev/gpu-caps/cap{minor}"
registered_as = ["gpu-caps"]
each = "/proc/driver/gpu/caps/**/access"
minor = "DeviceFileMinor"
optional = true
[[device]]
node = "/dev/gpu-extra"
registered_as = ["gpu-extra"]
minor = 0
optional = true
)";

class Reconciled : public ::testing::Test {
 protected:
  Reconciled() {
    must(root_.dir().make_dirs("dev/char", 0755));
    write("proc/devices", "Character devices:\n195 gpu\n241 gpu-caps\n");
    write("proc/driver/gpu/params", "DeviceFileMode: 432\nDeviceFileGID: 44\n");
    unit("a", 1);
    unit("b", 0);
    capability("u0/i1", 12);
    capability("u0/i1/c0", 13);
  }
  void write(const std::string& name, const std::string& text) { test::write_file(root_ / name, text); }
  void unit(const std::string& name, unsigned minor) {
    write("proc/driver/gpu/units/" + name + "/information", "Minor: " + std::to_string(minor) + "\n");
  }
  void capability(const std::string& folder, unsigned minor, const std::string& more = "") {
    write("proc/driver/gpu/caps/" + folder + "/access",
          "DeviceFileMinor: " + std::to_string(minor) + "\nDeviceFileMode: 292\n" + more);
  }
  DeviceContext context() { return {.root = root_.dir(), .kernel = kernel_, .definition = definition_}; }
  Result<void> apply() {
    DeviceReconciler reconciler(context());
    Result<void> applied = reconciler.apply();
    if (!applied) must(reconciler.undo());
    return applied;
  }
  bool is_satisfied() {
    DeviceReconciler reconciler(context());
    return must(reconciler.is_satisfied());
  }
  void place(const std::string& name, const DeviceNode& node) { kernel_.place_node(root_ / name, node); }
  void link(const std::string& target, const std::string& name) { must(root_.dir().make_link(target, name)); }
  std::string link(const std::string& name) { return must(root_.dir().read_link(name)).value_or("none"); }
  bool has(const std::string& name) { return kernel_.state().nodes.contains(root_ / name); }
  DeviceNode node(const std::string& name) { return kernel_.state().nodes.at(root_ / name); }
  std::vector<std::string> files() {
    std::vector<std::string> lines;
    for (const auto& entry : fs::recursive_directory_iterator(root_.path())) {
      const auto status = entry.symlink_status();
      lines.push_back(entry.path().string() + " " + std::to_string(static_cast<int>(status.type())) + " " +
                      std::to_string(static_cast<unsigned>(status.permissions())) + " " +
                      (entry.is_symlink() ? fs::read_symlink(entry.path()).string() : ""));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  /// All that could be wrong at once.
  void disorder() {
    place("dev/gpu0", {195, 0, 0666, 0, 0});   // mode
    place("dev/gpu1", {194, 1, 0660, 0, 44});  // number of another time
    link("../gpu1", "dev/char/194:1");
    place("dev/gpu5", {195, 5, 0660, 0, 44});  // taken out
    link("/dev/gpu5", "dev/char/195:5");
    place("dev/gpu-caps/cap12", {241, 13, 0444, 0, 0});
    place("dev/gpu-caps/cap40", {240, 40, 0444, 0, 0});
    link("../null", "dev/char/195:255");
    link("nowhere", "dev/gpuctl");
    must(root_.dir().make_dirs("dev/gpu-caps/cap13", 0700));  // left by a container engine
    must(root_.dir().set_mode("dev/gpu-caps", 0700));
    place("dev/gpu-extra", {238, 0, 0666, 0, 0});  // not registered any more
    link("../gpu-extra", "dev/char/238:0");
    write("run/driverext/watched/other", "");
  }

  test::TempDir root_;
  test::FakeKernel kernel_{root_.dir()};
  Definition definition_ = must(parse_definition(kDefinition, "gpu", "gpu.toml"));
};

TEST_F(Reconciled, EveryNodeHasItsNumberModeOwnerAndLink) {
  EXPECT_FALSE(is_satisfied());
  must(apply());
  EXPECT_TRUE(is_satisfied());
  EXPECT_EQ(kernel_.state().nodes.size(), 5U) << test::to_text(kernel_.state());
  EXPECT_EQ(node("dev/gpuctl"), (DeviceNode{195, 255, 0660, 0, 44, {}}));
  EXPECT_EQ(node("dev/gpu-caps/cap12"), (DeviceNode{241, 12, 0444, 0, 0, {}}));
  EXPECT_EQ(link("dev/char/195:0"), "../gpu0");
  EXPECT_EQ(link("dev/char/241:13"), "../gpu-caps/cap13");
  EXPECT_EQ(must(root_.dir().status("dev/gpu-caps"))->st_mode & 07777U, 0755U);
  EXPECT_EQ(must(root_.dir().list("run/driverext/watched")), std::vector<std::string>{"gpu"});
}

TEST_F(Reconciled, SecondTimeChangesNothing) {
  must(apply());
  const auto before = test::listing(root_.path());
  kernel_.forget_calls();
  must(apply());
  EXPECT_EQ(kernel_.calls(), std::vector<std::string>());
  EXPECT_EQ(test::listing(root_.path()), before);
}

TEST_F(Reconciled, WhateverIsWrongIsPutRight) {
  must(apply());
  const KernelState right = kernel_.state();
  const auto right_files = files();
  for (const auto& [path, node] : right.nodes) must(kernel_.remove_node(path));
  fs::remove_all(root_ / "dev/char");
  must(root_.dir().make_dirs("dev/char", 0755));
  disorder();
  EXPECT_FALSE(is_satisfied());
  must(apply());
  EXPECT_TRUE(is_satisfied());
  EXPECT_EQ(kernel_.state(), right);
  EXPECT_EQ(files(), right_files);
}

TEST_F(Reconciled, RightOnesAreLeftAloneWhoeverMadeTheirLinks) {
  place("dev/gpu0", {195, 0, 0660, 0, 44});
  link("/dev/gpu0", "dev/char/195:0");  // as NVIDIA's toolkit makes them
  kernel_.forget_calls();
  must(apply());
  for (const std::string& call : kernel_.calls()) EXPECT_EQ(call.find("dev/gpu0"), std::string::npos) << call;
  EXPECT_EQ(link("dev/char/195:0"), "/dev/gpu0");
}

TEST_F(Reconciled, NodesOfDevicesThatAreGoneGoWithTheirLinks) {
  unit("c", 2);
  must(apply());
  fs::remove_all(root_ / "proc/driver/gpu/units/c");
  fs::remove_all(root_ / "proc/driver/gpu/caps/u0");
  EXPECT_FALSE(is_satisfied());
  must(apply());
  for (const char* name : {"dev/gpu2", "dev/gpu-caps/cap12", "dev/gpu-caps/cap13"}) EXPECT_FALSE(has(name)) << name;
  for (const char* name : {"dev/char/195:2", "dev/char/241:12"}) EXPECT_EQ(link(name), "none") << name;
  EXPECT_TRUE(has("dev/gpu0") && has("dev/gpu1") && has("dev/gpuctl"));
  EXPECT_TRUE(is_satisfied());
}

TEST_F(Reconciled, EventsOfADriverThatIsUnloadedAreNotWaitedForAndItsNodesAreLeftToOthers) {
  must(apply());
  const KernelState after = kernel_.state();
  const auto after_files = files();
  write("proc/devices", "Character devices:\n1 mem\n");
  DeviceReconciler reconciler(context());
  must(reconciler.stop_watching());
  EXPECT_EQ(kernel_.state(), after);
  EXPECT_FALSE(test::exists(root_ / "run/driverext/watched"));
  must(reconciler.undo());
  EXPECT_EQ(files(), after_files);
}

// Those in the program's own folder may have come with a system extension, when udev ran already.
TEST_F(Reconciled, RulesOfEventsAreWhereUdevSeesThatTheyAreNew) {
  write("usr/lib/udev/rules.d/60-driverext.rules", "rules");
  const std::string shown = root_ / "run/udev/rules.d/60-driverext.rules";
  must(apply());
  EXPECT_EQ(test::read_whole(shown), "rules");
  EXPECT_TRUE(is_satisfied());
  write("usr/lib/udev/rules.d/60-driverext.rules", "other rules");
  EXPECT_FALSE(is_satisfied());
  DeviceReconciler reconciler(context());
  must(reconciler.apply());
  EXPECT_EQ(test::read_whole(shown), "other rules");
  must(reconciler.undo());
  EXPECT_EQ(test::read_whole(shown), "rules");
  write("proc/devices", "Character devices:\n1 mem\n");
  must(reconciler.stop_watching());
  EXPECT_FALSE(test::exists(shown));
}

TEST_F(Reconciled, NamesThatAreNotOfThePatternAreNotOurs) {
  for (const char* name : {"dev/gpu01", "dev/gpu", "dev/gpux", "dev/gpu7x", "dev/gpu-caps/cap", "dev/agpu9"}) {
    place(name, {195, 9, 0666, 0, 0});
  }
  write("dev/gpu8", "no node");
  const size_t before = kernel_.state().nodes.size();
  must(apply());
  EXPECT_EQ(kernel_.state().nodes.size(), before + 5) << test::to_text(kernel_.state());
  EXPECT_TRUE(test::exists(root_ / "dev/gpu8"));
}

TEST_F(Reconciled, DriverThatLeavesDeviceFilesToOthersLosesNone) {
  must(apply());
  write("proc/driver/gpu/params", "ModifyDeviceFiles: 0\n");
  place("dev/gpu5", {195, 5, 0600, 0, 0});
  place("dev/gpu1", {195, 1, 0600, 7, 7});
  must(apply());
  EXPECT_TRUE(has("dev/gpu5"));
  EXPECT_EQ(node("dev/gpu1").owner, 7U);
  must(kernel_.remove_node(root_ / "dev/gpu0"));
  EXPECT_EQ(verdict(apply()), "incompatible/device-missing");
}

// Of a driver that got another number at this boot.
TEST_F(Reconciled, NodeOfOthersWithAnotherNumberIsNotTakenForTheDrivers) {
  must(apply());
  write("proc/driver/gpu/params", "ModifyDeviceFiles: 0\n");
  place("dev/gpu1", {244, 1, 0600, 7, 7});
  EXPECT_FALSE(is_satisfied());
  const Result<void> applied = apply();
  EXPECT_EQ(verdict(applied), "incompatible/device-missing");
  EXPECT_NE(applied.error().message().find("has another number than the driver"), std::string::npos);
}

TEST_F(Reconciled, CapabilityThatIsLeftToOthersMayBeAbsent) {
  capability("u0/i2", 20, "DeviceFileModify: 0\n");
  must(apply());
  EXPECT_FALSE(has("dev/gpu-caps/cap20"));
  EXPECT_TRUE(is_satisfied());
  place("dev/gpu-caps/cap20", {241, 20, 0400, 0, 0});
  must(apply());
  EXPECT_EQ(link("dev/char/241:20"), "../gpu-caps/cap20");
}

TEST_F(Reconciled, LinesThatSayNothingAreSkipped) {
  capability("u0/i3", 30);
  write("proc/driver/gpu/caps/u0/i4/access", "DeviceFileMinor: no\n");
  write("proc/driver/gpu/caps/u0/i5/access", "");
  write("proc/driver/gpu/caps/u0/i6/other", "DeviceFileMinor: 60\n");
  write("proc/driver/gpu/caps/u0/i7/access", "\r\nCoherent: \"x\"\r\nDeviceFileMode:256\r\nDeviceFileMinor: 70\r\n");
  must(apply());
  EXPECT_EQ(kernel_.state().nodes.size(), 7U) << test::to_text(kernel_.state());
  EXPECT_EQ(node("dev/gpu-caps/cap70"), (DeviceNode{241, 70, 0400, 0, 0, {}}));
}

// What somebody could miss is not taken away.
TEST_F(Reconciled, WhatIsInTheWayIsNamed) {
  write("dev/gpu0", "somebody's");
  EXPECT_EQ(verdict(apply()), "conflict");
  EXPECT_NE(message(apply()).find("dev/gpu0"), std::string::npos);
  EXPECT_EQ(test::read_whole(root_ / "dev/gpu0"), "somebody's");
  must(root_.dir().remove_file("dev/gpu0"));
  write("dev/gpu0/file", "");
  EXPECT_EQ(verdict(apply()), "conflict");
  fs::remove_all(root_ / "dev/gpu0");
  write("dev/gpu-caps", "");
  EXPECT_EQ(verdict(apply()), "conflict");
  EXPECT_TRUE(kernel_.state().nodes.empty());
}

TEST_F(Reconciled, LabelsAreThoseOfThePolicy) {
  kernel_.set_label("dev", "system_u:object_r:gpu_device_t:s0");
  must(apply());
  EXPECT_EQ(node("dev/gpu0").label, "system_u:object_r:gpu_device_t:s0");
  EXPECT_EQ(node("dev/gpu-caps/cap12").label, "");  // of which the policy says nothing
  place("dev/gpu1", {195, 1, 0660, 0, 44, "system_u:object_r:device_t:s0"});
  place("dev/gpu-caps/cap12", {241, 12, 0444, 0, 0, "system_u:object_r:device_t:s0"});
  EXPECT_FALSE(is_satisfied());
  must(apply());
  EXPECT_EQ(node("dev/gpu1").label, "system_u:object_r:gpu_device_t:s0");
  EXPECT_EQ(node("dev/gpu-caps/cap12").label, "system_u:object_r:device_t:s0");
  EXPECT_TRUE(is_satisfied());
}

TEST_F(Reconciled, WhateverFailsIsUndone) {
  disorder();
  const KernelState before = kernel_.state();
  const auto before_files = files();
  kernel_.forget_calls();
  {
    DeviceReconciler reconciler(context());
    must(reconciler.apply());
    EXPECT_GT(reconciler.changes(), 7U);
    const int calls = kernel_.side_effects();
    const int questions = kernel_.questions();
    ASSERT_GT(calls, 7);
    must(reconciler.undo());
    EXPECT_EQ(kernel_.state(), before) << test::to_text(kernel_.state());
    EXPECT_EQ(files(), before_files);
    for (int n = 1; n <= calls + questions; ++n) {
      kernel_.forget_calls();
      n <= calls ? kernel_.fail_call(n, EIO) : kernel_.fail_question(n - calls, EIO);
      EXPECT_FALSE(apply()) << n;
      EXPECT_EQ(kernel_.state(), before) << n << "\n" << test::to_text(kernel_.state());
      EXPECT_EQ(files(), before_files) << n;
    }
  }
  kernel_.forget_calls();
  must(apply());
  EXPECT_TRUE(is_satisfied());
}

// A device that the kernel registers, with a node of its own making.
class Awaited : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here";
    must(root_.dir().make_dirs("dev", 0755));
    define("");
  }
  void define(const std::string& more) {
    definition_ = must(parse_definition(
        "name = \"tpu\"\n[[module]]\nname = \"tpu\"\n[[device]]\nclass = \"tpu\"\n" + more, "tpu", "tpu.toml"));
  }
  void register_device() {
    test::write_file(root_ / "sys/class/tpu/tpu0/uevent", "MAJOR=120\nMINOR=0\nDEVNAME=accel/tpu0\n");
    test::write_file(root_ / "sys/class/tpu/tpu0/dev", "120:0\n");
  }
  void make_node() {
    fs::create_directories(root_ / "dev/accel");
    ASSERT_EQ(::mknod((root_ / "dev/accel/tpu0").c_str(), S_IFCHR | 0600, makedev(120, 0)), 0);
  }
  Result<void> apply(uint64_t msec = 0, int cancel_fd = -1) {
    DeviceReconciler reconciler({.root = root_.dir(),
                                 .kernel = kernel_,
                                 .definition = definition_,
                                 .deadline_usec = msec == 0 ? 0 : monotonic_usec() + msec * 1000,
                                 .cancel_fd = cancel_fd});
    Result<void> applied = reconciler.apply();
    remark_ = reconciler.remark();
    if (!applied) must(reconciler.undo());
    return applied;
  }
  struct stat status() {
    struct stat found {};
    EXPECT_EQ(::stat((root_ / "dev/accel/tpu0").c_str(), &found), 0);
    return found;
  }

  test::TempDir root_;
  test::FakeKernel kernel_{root_.dir()};
  Definition definition_;
  std::string remark_;
};

TEST_F(Awaited, NodeThatComesLaterIsWaitedFor) {
  std::thread kernel([&] {
    register_device();
    make_node();
  });
  const Result<void> applied = apply();
  kernel.join();
  EXPECT_EQ(message(applied), "fine");
}

TEST_F(Awaited, WaitingEnds) {
  EXPECT_EQ(verdict(apply(20)), "not_found/device-missing");
  register_device();
  EXPECT_EQ(verdict(apply(20)), "not_found/device-missing");
  EXPECT_NE(message(apply(20)).find("/dev/accel/tpu0"), std::string::npos);
  define("wait = 0\n");
  EXPECT_EQ(verdict(apply()), "not_found/device-missing");
  define("optional = true\n");
  fs::remove_all(root_ / "sys/class/tpu");
  EXPECT_EQ(message(apply()), "fine") << "there is none, and none is needed";
}

TEST_F(Awaited, WaitingEndsWhenAProvisionIsToldToStop) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  ASSERT_EQ(::write(write_end.get(), "x", 1), 1);
  EXPECT_EQ(verdict(apply(0, read_end.get())), "transient");
}

TEST_F(Awaited, PermissionsAreSetWhereUdevDidNot) {
  test::write_file(root_ / "etc/group", "root:x:0:\n");
  test::write_file(root_ / "usr/lib/group", "accel:x:612:\n");
  register_device();
  make_node();
  define("mode = \"0660\"\ngroup = \"accel\"\n");
  const ino_t inode = status().st_ino;
  must(apply());
  EXPECT_EQ(status().st_mode & 07777U, 0660U);
  EXPECT_EQ(status().st_gid, 612U);
  EXPECT_EQ(status().st_ino, inode) << "the kernel's own node, which goes when the device does";
  kernel_.forget_calls();
  must(apply());
  EXPECT_EQ(kernel_.calls(), std::vector<std::string>());
  EXPECT_EQ(remark_, "");
}

TEST_F(Awaited, UdevIsGivenTimeToSetThem) {
  test::write_file(root_ / "run/udev/queue", "");
  register_device();
  make_node();
  define("mode = \"0660\"\n");
  std::thread udev([&] {
    ::chmod((root_ / "dev/accel/tpu0").c_str(), 0660);
    ::unlink((root_ / "run/udev/queue").c_str());
  });
  const Result<void> applied = apply();
  udev.join();
  EXPECT_EQ(message(applied), "fine");
  EXPECT_EQ(kernel_.calls(), std::vector<std::string>());
}

TEST_F(Awaited, GroupThatTheHostDoesNotHaveIsTold) {
  register_device();
  make_node();
  define("mode = \"0660\"\ngroup = \"accel\"\n");
  must(apply());
  EXPECT_EQ(status().st_mode & 07777U, 0660U);
  EXPECT_EQ(status().st_gid, 0U);
  EXPECT_EQ(remark_, "this host has no group accel, so /dev/accel/tpu0 keeps its own");
  DeviceReconciler again({.root = root_.dir(), .kernel = kernel_, .definition = definition_});
  EXPECT_TRUE(must(again.is_satisfied()));
}

TEST_F(Awaited, PermissionsAreTakenBack) {
  register_device();
  make_node();
  define("mode = \"0660\"\n");
  DeviceReconciler reconciler({.root = root_.dir(), .kernel = kernel_, .definition = definition_});
  must(reconciler.apply());
  must(reconciler.undo());
  EXPECT_EQ(status().st_mode & 07777U, 0600U);
  EXPECT_FALSE(test::exists(root_ / "run/driverext/watched/tpu"));
}

}  // namespace
}  // namespace driverext
