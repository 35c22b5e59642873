// Who holds a driver: its devices by their numbers, its modules by sysfs.
#include "host/holders.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "driver/driver_holders.hpp"
#include "host/holder_watch.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// A tree of files that stands for a host.
class Holders : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) { test::write_file(dir_ / name, text); }
  void link(const std::string& target, const std::string& name) { must(dir_.dir().make_link(target, name)); }
  // A process that has this open.
  void process(int pid, const std::string& name, const std::string& group, const std::vector<std::string>& open) {
    const std::string folder = "proc/" + std::to_string(pid);
    write(folder + "/comm", name + "\n");
    write(folder + "/cgroup", "0::" + group + "\n");
    int descriptor = 0;
    for (const std::string& target : open) link(target, folder + "/fd/" + std::to_string(descriptor++));
  }
  [[nodiscard]] std::string found(const HolderQuery& query) const {
    std::string text;
    for (const ProcessHolder& holder : must(find_process_holders(dir_.dir(), query)).processes) {
      text += holder_text(holder) + "\n";
    }
    return text;
  }
  test::TempDir dir_;
};

TEST_F(Holders, ProcessUnitAndContainerAreNamed) {
  process(7, "idle", "/init.scope", {"/dev/null", "socket:[1]", "/dev/gpux"});
  process(42, "trainer", "/system.slice/job.service", {"/dev/null", "/dev/gpuctl", "/dev/gpu0", "/dev/gpu0"});
  process(9, "infer", "/system.slice/docker-" + kId + ".scope", {"/dev/gpu12 (deleted)"});
  EXPECT_EQ(found({.devices = {}, .nodes = {"/dev/gpuctl", "/dev/gpu{minor}"}}),
            "infer (pid 9, docker-" + kId +
                ".scope, container 0123456789ab) has /dev/gpu12 open\n"
                "trainer (pid 42, job.service) has /dev/gpuctl and /dev/gpu0 open\n");
}

TEST_F(Holders, NothingIsFoundWhereNobodyHoldsIt) {
  process(42, "trainer", "/", {"/dev/null"});
  write("proc/self/fd/0", "");
  write("proc/43", "not a folder");
  EXPECT_EQ(found({.devices = {{195, {}}}, .nodes = {"/dev/gpu0"}}), "");
  EXPECT_EQ(found({}), "");
}

TEST_F(Holders, ThreadsGoOnAfterTheFirstOneHasEnded) {
  process(42, "trainer", "/system.slice/job.service", {});
  must(dir_.dir().make_dirs("proc/42/fd", 0755));
  must(dir_.dir().make_dirs("proc/42/task/42/fd", 0755));
  link("/dev/gpu0", "proc/42/task/43/fd/5");
  EXPECT_EQ(found({.devices = {}, .nodes = {"/dev/gpu0"}}), "trainer (pid 42, job.service) has /dev/gpu0 open\n");
}

TEST_F(Holders, MappingHoldsADeviceWithoutADescriptor) {
  process(42, "trainer", "/system.slice/job.service", {"/dev/null"});
  write("proc/42/maps",
        "7f00-7f01 rw-s 00000000 00:06 12                         /dev/gpu0\n"
        "7f01-7f02 r-xp 00000000 fe:03 99                         /run/x/driver/usr/lib/libx.so.1\n"
        "7f02-7f03 rw-p 00000000 00:00 0 \n");
  link("/dev/gpu0", "proc/42/map_files/7f00-7f01");
  link("/run/x/driver/usr/lib/libx.so.1", "proc/42/map_files/7f01-7f02");
  HolderQuery query;
  query.nodes = {"/dev/gpu0"};
  EXPECT_EQ(found(query), "");
  query.depth = HolderQuery::Depth::mappings;
  EXPECT_EQ(found(query), "trainer (pid 42, job.service) has /dev/gpu0 open\n");
}

TEST_F(Holders, NamesOfProcessesCannotFakeALine) {
  process(42, "x\ny (pid 1) \x1b[2J", "/", {"/dev/gpu0"});
  const std::string text = found({.devices = {}, .nodes = {"/dev/gpu0"}});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

// A container has nodes of its own, under any name.
TEST_F(Holders, DeviceIsKnownByItsNumberWhateverItsName) {
  must(dir_.dir().make_dirs("var/box/dev", 0755));
  if (::mknod((dir_ / "var/box/dev/renamed").c_str(), S_IFCHR | 0600, gnu_dev_makedev(195, 3)) != 0) {
    GTEST_SKIP() << "device nodes cannot be made here";
  }
  ASSERT_EQ(::mknod((dir_ / "var/box/dev/gpu0").c_str(), S_IFCHR | 0600, gnu_dev_makedev(1, 3)), 0);
  process(42, "trainer", "/", {"/var/box/dev/renamed"});
  process(43, "other", "/", {"/var/box/dev/gpu0"});
  const std::string trainer = "trainer (pid 42) has /var/box/dev/renamed open\n";
  EXPECT_EQ(found({.devices = {{195, 3}}, .nodes = {"/var/box/dev/gpu0"}}), trainer);
  EXPECT_EQ(found({.devices = {{195, {}}}}), trainer);
  EXPECT_EQ(found({.devices = {{195, 4}, {194, {}}}}), "");
}

TEST_F(Holders, ModulesAreFollowedToWhateverUsesThem) {
  const auto module = [&](const std::string& name, const std::string& count, const std::vector<std::string>& users) {
    write("sys/module/" + name + "/refcnt", count);
    must(dir_.dir().make_dirs("sys/module/" + name + "/holders", 0755));
    for (const std::string& user : users) link("../../" + user, "sys/module/" + name + "/holders/" + user);
  };
  module("gpu", "7\n", {"gpu_uvm", "rdma_copy"});
  module("gpu_uvm", "0\n", {});
  module("rdma_copy", "2\n", {"on_top"});
  module("on_top", "1\n", {});
  write("sys/module/built_in/parameters/x", "1");
  const std::vector<ModuleUse> uses = must(read_module_uses(dir_.dir(), {"gpu", "gpu-uvm", "built_in", "absent"}));
  ASSERT_EQ(uses.size(), 4U);
  EXPECT_EQ(uses[0], (ModuleUse{"gpu", 7, {"gpu_uvm", "rdma_copy"}}));
  EXPECT_EQ(uses[0].other_references(), 5U);
  EXPECT_EQ(uses[1].name, "gpu_uvm");
  EXPECT_EQ(uses[2], (ModuleUse{"rdma_copy", 2, {"on_top"}}));
  EXPECT_EQ(uses[3].name, "on_top");
}

// For those that no definition is there for: a competing driver, a third module on top of ours.
TEST_F(Holders, ModulesAreKnownByTheNumbersOfTheirDevices) {
  write("proc/devices", "Character devices:\n  1 mem\n195 gpu\n236 rdma-copy\n\nBlock devices:\n  7 gpu\n");
  write("sys/devices/pci0/0000:01:00.0/drm/card0/dev", "226:0\n");
  write("sys/devices/pci0/0000:01:00.0/drm/renderD128/dev", "226:128\n");
  write("sys/devices/pci0/0000:01:00.0/usb1/driver/x", "");
  write("sys/devices/pci0/0000:01:00.0/usb1/dev", "189:0\n");  // of the driver that is bound to it
  link("/sys/devices/pci0/0000:01:00.0", "sys/bus/pci/drivers/othergpu/0000:01:00.0");
  link("/sys/module/othergpu", "sys/bus/pci/drivers/othergpu/module");
  link("/sys/bus/pci/drivers/othergpu", "sys/module/othergpu/drivers/pci:othergpu");
  EXPECT_EQ(device_numbers_of(dir_.dir(), {"gpu", "rdma_copy"}), (std::vector<DeviceNumbers>{{195, {}}, {236, {}}}));
  EXPECT_EQ(device_numbers_of(dir_.dir(), {"othergpu"}), (std::vector<DeviceNumbers>{{226, 0}, {226, 128}}));
  EXPECT_TRUE(device_numbers_of(dir_.dir(), {"absent"}).empty());
}

uint64_t after_sec(unsigned seconds) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return (static_cast<uint64_t>(now.tv_sec) + seconds) * 1'000'000;
}

// The kernel's own /proc: a child that holds a terminal of its own.
class LiveHolder : public ::testing::Test {
 protected:
  void SetUp() override {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master_ < 0 || ::unlockpt(master_) != 0) GTEST_SKIP() << "no pseudo terminal here";
    const char* name = ::ptsname(master_);
    ASSERT_NE(name, nullptr);
    struct stat info {};
    if (::stat(name, &info) != 0) GTEST_SKIP() << "no /dev/pts here";
    query_.devices = {{gnu_dev_major(info.st_rdev), gnu_dev_minor(info.st_rdev)}};
    ASSERT_EQ(::pipe2(commands_, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(answers_, O_CLOEXEC), 0);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ != 0) return;
    // One command: close the terminal; then wait to be ended.
    const int held = ::open(name, O_RDWR | O_NOCTTY);
    char byte = held >= 0 ? 'k' : 'x';
    (void)!::write(answers_[1], &byte, 1);
    (void)!::read(commands_[0], &byte, 1);
    ::close(held);
    (void)!::write(answers_[1], &byte, 1);
    while (true) ::pause();
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    for (const int fd : {master_, commands_[0], commands_[1], answers_[0], answers_[1]}) {
      if (fd >= 0) ::close(fd);
    }
  }
  char answer() {
    char byte = 0;
    (void)!::read(answers_[0], &byte, 1);
    return byte;
  }
  [[nodiscard]] std::vector<ProcessHolder> holders() const {
    return must(find_process_holders(root_, query_)).processes;
  }
  Dir root_ = must(Dir::open_root("/"));
  HolderQuery query_;
  pid_t child_ = -1;
  int master_ = -1;
  int commands_[2] = {-1, -1};
  int answers_[2] = {-1, -1};
};

TEST_F(LiveHolder, IsFoundByTheNumberOfWhatItHasOpen) {
  ASSERT_EQ(answer(), 'k');
  const std::vector<ProcessHolder> found = holders();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].pid, child_);
  EXPECT_TRUE(found[0].devices[0].starts_with("/dev/pts/")) << found[0].devices[0];
}

TEST_F(LiveHolder, WaitEndsInTimeAlsoIfItDoesNot) {
  ASSERT_EQ(answer(), 'k');
  const std::unique_ptr<HolderWatch> watch = must(make_holder_watch(root_));
  EXPECT_TRUE(watch->add(holders()));
  EXPECT_FALSE(watch->add(holders()));
  EXPECT_EQ(watch->wait(after_sec(0), -1), HolderWatch::Waited::out_of_time);
}

TEST_F(LiveHolder, CloseOfTheDeviceEndsTheWait) {
  ASSERT_EQ(answer(), 'k');
  const std::unique_ptr<HolderWatch> watch = must(make_holder_watch(root_));
  EXPECT_TRUE(watch->add(holders()));
  ASSERT_EQ(::write(commands_[1], "c", 1), 1);
  EXPECT_EQ(watch->wait(after_sec(10), -1), HolderWatch::Waited::changed);
  EXPECT_EQ(answer(), 'c');
  EXPECT_TRUE(holders().empty());
}

TEST_F(LiveHolder, EndOfTheProcessEndsTheWait) {
  ASSERT_EQ(answer(), 'k');
  const std::unique_ptr<HolderWatch> watch = must(make_holder_watch(root_));
  std::vector<ProcessHolder> found = holders();
  ASSERT_EQ(found.size(), 1U);
  found[0].handles.clear();  // only its end is watched
  EXPECT_TRUE(watch->add(found));
  ::kill(child_, SIGKILL);
  EXPECT_EQ(watch->wait(after_sec(10), -1), HolderWatch::Waited::changed);
}

TEST_F(LiveHolder, CancellationEndsTheWait) {
  ASSERT_EQ(answer(), 'k');
  const std::unique_ptr<HolderWatch> watch = must(make_holder_watch(root_));
  EXPECT_TRUE(watch->add(holders()));
  ASSERT_EQ(::write(commands_[1], "c", 1), 1);
  ASSERT_EQ(answer(), 'c');
  // Something to read, as of a signal.
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(watch->wait(after_sec(10), ends[0]), HolderWatch::Waited::cancelled);
  for (const int fd : ends) ::close(fd);
}

}  // namespace
}  // namespace driverext
