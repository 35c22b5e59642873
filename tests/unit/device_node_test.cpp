// Character device nodes as the real kernel makes them.
#include "kernel/device_node.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "kernel/file_labels.hpp"
#include "kernel/linux_kernel.hpp"
#include "provisioner/device_reconciler.hpp"
#include "support/fake_kernel.hpp"
#include "support/gpu_tree.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

class DeviceNodeFile : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here";
  }
  struct stat status(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found;
  }
  test::TempDir root_;
};

TEST_F(DeviceNodeFile, IsWhatWasAskedFor) {
  const std::string path = root_ / "node";
  const DeviceNode node{241, 4322, 0440, 7, 44, {}};
  must(make_device_node(path, node));
  EXPECT_EQ(must(find_device_node(path)), node);
  EXPECT_EQ(status(path).st_rdev, makedev(241, 4322));
  EXPECT_EQ(must(root_.dir().list("")), std::vector<std::string>{"node"}) << "nothing is left beside it";
}

TEST_F(DeviceNodeFile, TakesThePlaceOfFilesAndLinks) {
  const std::string path = root_ / "node";
  for (const char* target : {"/dev/null", "nowhere"}) {
    ASSERT_EQ(::symlink(target, path.c_str()), 0);
    EXPECT_FALSE(must(find_device_node(path)));
    must(make_device_node(path, {195, 0, 0666, 0, 0, {}}));
    EXPECT_TRUE(must(find_device_node(path)));
    must(remove_device_node(path));
  }
  ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
  EXPECT_EQ(make_device_node(path, {195, 0, 0666, 0, 0, {}}).error().os_error, EISDIR);
  EXPECT_EQ(must(root_.dir().list("")), std::vector<std::string>{"node"});
}

// Whoever looks for it while it is replaced finds one or the other, and never one that is not finished.
TEST_F(DeviceNodeFile, IsThereAtEveryMoment) {
  const std::string path = root_ / "node";
  const DeviceNode one{195, 0, 0666, 0, 0, {}};
  const DeviceNode other{195, 1, 0600, 7, 7, {}};
  must(make_device_node(path, one));
  std::atomic<bool> over = false;
  std::atomic<int> wrong = 0;
  std::thread watcher([&] {
    while (!over) {
      const auto found = find_device_node(path);
      if (!found || !*found || (**found != one && **found != other)) ++wrong;
    }
  });
  for (int i = 0; i < 500; ++i) must(make_device_node(path, i % 2 == 0 ? other : one));
  over = true;
  watcher.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(DeviceNodeFile, ChangesInPlaceIfItIsTheSameDevice) {
  const std::string path = root_ / "node";
  must(make_device_node(path, {120, 0, 0600, 0, 0, {}}));
  const ino_t inode = status(path).st_ino;
  must(change_device_node(path, {120, 0, 0660, 0, 612, {}}));
  EXPECT_EQ(must(find_device_node(path)), (DeviceNode{120, 0, 0660, 0, 612, {}}));
  EXPECT_EQ(status(path).st_ino, inode);
  EXPECT_EQ(verdict(change_device_node(path, {120, 1, 0666, 0, 0, {}})), "conflict");
  EXPECT_EQ(change_device_node(root_ / "none", {120, 1, 0666, 0, 0, {}}).error().os_error, ENOENT);
}

TEST_F(DeviceNodeFile, RightOnesKeepTheirInodes) {
  test::plant_gpu_tree({}, root_);
  const Definition definition =
      must(parse_definition(test::source_file("drivers/nvidia.toml"), "nvidia", "nvidia.toml"));
  const auto kernel = make_linux_kernel(root_.dir());
  const DeviceContext context{.root = root_.dir(), .kernel = *kernel, .definition = definition};
  DeviceReconciler first(context);
  must(first.apply());
  EXPECT_EQ(first.changes(), 9U + 8U + 28U);
  const auto before = test::listing(root_.path());
  DeviceReconciler second(context);
  EXPECT_TRUE(must(second.is_satisfied()));
  must(second.apply());
  EXPECT_EQ(test::listing(root_.path()), before);
  // One that is wrong is replaced, the others are the same still.
  const ino_t neighbour = status(root_ / "dev/nvidia1").st_ino;
  must(kernel->make_node(root_ / "dev/nvidia0", {196, 0, 0600, 0, 0, {}}));
  DeviceReconciler third(context);
  must(third.apply());
  EXPECT_EQ(third.changes(), 1U);
  EXPECT_EQ(must(kernel->find_node(root_ / "dev/nvidia0")), (DeviceNode{195, 0, 0666, 0, 0, {}}));
  EXPECT_EQ(status(root_ / "dev/nvidia1").st_ino, neighbour);
}

TEST(FileLabels, HostWithoutAPolicyHasNone) {
  const test::TempDir root;
  const FileLabels labels(root.dir());
  EXPECT_FALSE(must(labels.label_for("/dev/null")));
}

}  // namespace
}  // namespace driverext
