// image mount and umount: what a person looks at is guarded like what a node uses, and nothing of it stays behind.
#include "provisioner/image_mount.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::KernelState;
using test::must;
using test::sample_bytes;
using test::verdict;
using test::verify_bytes;

class ImageMount : public ::testing::Test {
 protected:
  ImageMount() {
    host_.know_image(sample_bytes());
    for (const char* feature : {"loop", "dm_verity", "squashfs"}) host_.kernel.build_in(feature);
    must(host_.root().make_dirs("mnt", 0755));
  }
  [[nodiscard]] std::string target() const { return host_.path("mnt"); }
  Result<void> mount(Guard guard = Guard::dm_verity) {
    return mount_image(host_.kernel, host_.root(), image_, target(), guard);
  }
  Result<void> unmount() { return unmount_image(host_.kernel, host_.root(), target()); }
  std::vector<std::string> notes() { return must(host_.root().list("run/driverext/checked-mounts")); }
  [[nodiscard]] std::string root_hash() const { return image_.root_hash_hex(); }

  test::FakeHost host_;
  VerifiedImage image_ = must(verify_bytes(sample_bytes()));
};

TEST_F(ImageMount, IsReadThroughVerityAndTakenAwayWhole) {
  const KernelState before = host_.kernel.state();
  must(mount());
  EXPECT_EQ(test::read_whole(target() + "/" + std::string(kManifestPath)), image_.manifest_text());
  EXPECT_EQ(host_.kernel.state().mounts.at(target()).type, "squashfs");
  must(unmount());
  EXPECT_EQ(host_.kernel.state(), before);
}

TEST_F(ImageMount, HasTheTypeThatIsFound) {
  host_.kernel.build_in("erofs");
  host_.kernel.set_file_system(root_hash(), "erofs");
  must(mount());
  EXPECT_EQ(host_.kernel.state().mounts.at(target()).type, "erofs");
}

TEST_F(ImageMount, KernelWithoutVerityIsAnErrorAndNoReasonToDoWithoutIt) {
  test::FakeHost bare;
  bare.know_image(sample_bytes());
  for (const char* feature : {"loop", "squashfs"}) bare.kernel.build_in(feature);
  must(bare.root().make_dirs("mnt", 0755));
  const KernelState before = bare.kernel.state();
  const auto mounted = mount_image(bare.kernel, bare.root(), image_, bare.path("mnt"), Guard::dm_verity);
  EXPECT_EQ(mounted.error().reason, Reason::kernel_feature_missing);
  EXPECT_EQ(bare.kernel.state(), before);
}

TEST_F(ImageMount, WithoutVerityOnlyAfterEveryBlockWasChecked) {
  const KernelState before = host_.kernel.state();
  const std::string damaged = test::flipped(sample_bytes(), test::partitions_of(sample_bytes())[0].offset + 5000);
  EXPECT_EQ(
      verdict(mount_image(host_.kernel, host_.root(), must(verify_bytes(damaged)), target(), Guard::checked_once)),
      "untrusted/data-corrupt");
  EXPECT_EQ(host_.kernel.state(), before);
  must(mount(Guard::checked_once));
  EXPECT_EQ(host_.kernel.state().loops, 1);
  EXPECT_TRUE(host_.kernel.state().devices.empty());
  EXPECT_EQ(notes().size(), 1U);
  must(unmount());
  EXPECT_EQ(host_.kernel.state(), before);
  EXPECT_TRUE(notes().empty());
}

TEST_F(ImageMount, LoopMountOfSomebodyElseIsNotTakenAway) {
  const ImageFile& file = image_.file();
  must(host_.kernel.mount_region({file.fd(), file.data().offset, file.data().size, target(), "ro"}));
  EXPECT_EQ(verdict(unmount()), "conflict/mount-conflict");
  EXPECT_EQ(host_.kernel.state().loops, 1);
}

TEST_F(ImageMount, LoopDeviceThatWasGivenToSomebodyElseIsNotTakenForOurs) {
  must(mount(Guard::checked_once));
  const std::string device = notes().at(0);
  host_.write("sys/dev/block/" + device + "/diskseq", "8\n");
  EXPECT_EQ(verdict(unmount()), "conflict/mount-conflict") << "another sequence number";
  std::filesystem::remove(host_.path("sys/dev/block/" + device + "/diskseq"));
  must(unmount());
}

TEST_F(ImageMount, DamagedTreeIsFoundBeforeAnythingIsAttached) {
  const std::string damaged = test::flipped(sample_bytes(), test::partitions_of(sample_bytes())[1].offset + 4096);
  EXPECT_EQ(verdict(mount_image(host_.kernel, host_.root(), must(verify_bytes(damaged)), target(), Guard::dm_verity)),
            "untrusted/hash-tree-corrupt");
  EXPECT_TRUE(host_.kernel.calls().empty());
}

TEST_F(ImageMount, EveryFailureLeavesNothingBehind) {
  const KernelState before = host_.kernel.state();
  for (const Guard guard : {Guard::dm_verity, Guard::checked_once}) {
    host_.kernel.forget_calls();
    must(mount(guard));
    const int calls = host_.kernel.side_effects();
    const int questions = host_.kernel.questions();
    must(unmount());
    for (int n = 1; n <= calls; ++n) {
      host_.kernel.forget_calls();
      host_.kernel.fail_call(n, EIO);
      EXPECT_FALSE(mount(guard)) << n;
      EXPECT_EQ(host_.kernel.state(), before) << n;
    }
    for (int n = 1; n <= questions; ++n) {
      host_.kernel.forget_calls();
      host_.kernel.fail_question(n, EIO);
      EXPECT_FALSE(mount(guard)) << n;
      EXPECT_EQ(host_.kernel.state(), before) << n;
    }
    EXPECT_TRUE(notes().empty());
  }
}

TEST_F(ImageMount, OtherManifestInsideIsNotShown) {
  const KernelState before = host_.kernel.state();
  host_.kernel.add_image(root_hash(), {{std::string(kManifestPath), "{}"}});
  EXPECT_EQ(verdict(mount()), "untrusted/manifest-mismatch");
  EXPECT_EQ(host_.kernel.state(), before);
}

TEST_F(ImageMount, PlaceThatIsTakenIsLeftAlone) {
  host_.kernel.place_mount(target());
  const KernelState before = host_.kernel.state();
  EXPECT_EQ(verdict(mount()), "conflict/mount-conflict");
  EXPECT_EQ(verdict(unmount()), "conflict/mount-conflict");
  EXPECT_EQ(host_.kernel.state(), before);
}

TEST_F(ImageMount, WhatWasProvisionedIsNotTakenAway) {
  host_.drop("testcam.raw", sample_bytes());
  ASSERT_EQ(reason_info(host_.provision().reason).code, "provisioned");
  const KernelState before = host_.kernel.state();
  const std::string provisioned = host_.path("run/driverext/mounts/" + root_hash());
  EXPECT_EQ(verdict(unmount_image(host_.kernel, host_.root(), provisioned)), "conflict/mount-conflict");
  must(mount());
  must(unmount());
  EXPECT_EQ(host_.kernel.state(), before);
}

TEST_F(ImageMount, NothingMountedIsSaid) { EXPECT_EQ(verdict(unmount()), "not_found"); }

}  // namespace
}  // namespace driverext
