// What libblkid finds on real file systems, made by the tools that belong to them.
#include "kernel/file_system_probe.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

class FileSystemProbe : public ::testing::Test {
 protected:
  Result<std::string> probe(const std::string& bytes, uint64_t offset = 0, uint64_t size = 0) {
    test::write_file(scratch_ / "device", bytes);
    const UniqueFd fd = must(scratch_.dir().open_file("device", O_RDONLY));
    return probe_file_system(fd.get(), offset, size, "the device");
  }
  // Empty, by this mkfs; nothing if the machine does not have it.
  std::string made_by(const std::vector<std::string>& command) {
    test::write_file(scratch_ / "made", std::string(4 << 20, '\0'));
    if (!run_program(command)) return {};
    return test::read_whole(scratch_ / "made");
  }
  static std::string squashfs() {
    const Partition root = test::partitions_of(test::sample_bytes())[0];
    return test::sample_bytes().substr(root.offset, root.size);
  }
  test::TempDir scratch_;
};

TEST_F(FileSystemProbe, SquashfsIsFoundAlsoInsideALargerFile) {
  EXPECT_EQ(must(probe(squashfs())), "squashfs");
  const Partition root = test::partitions_of(test::sample_bytes())[0];
  EXPECT_EQ(must(probe(test::sample_bytes(), root.offset, root.size)), "squashfs");
}

TEST_F(FileSystemProbe, ErofsIsFound) {
  test::write_file(scratch_ / "tree/usr/file", "x");
  const std::string bytes = made_by({"mkfs.erofs", "--quiet", scratch_ / "made", scratch_ / "tree"});
  if (bytes.empty()) GTEST_SKIP() << "there is no mkfs.erofs on this machine";
  EXPECT_EQ(must(probe(bytes)), "erofs");
}

TEST_F(FileSystemProbe, NothingIsNoFileSystem) {
  EXPECT_EQ(verdict(probe(std::string(1 << 20, '\0'))), "untrusted/image-malformed");
  EXPECT_EQ(verdict(probe(test::stand_in("noise", 1 << 20))), "untrusted/image-malformed");
}

TEST_F(FileSystemProbe, OtherFileSystemsAreNotAccepted) {
  const std::string ext4 = made_by({"mkfs.ext4", "-q", "-F", scratch_ / "made"});
  if (ext4.empty()) GTEST_SKIP() << "there is no mkfs.ext4 on this machine";
  const auto found = probe(ext4);
  EXPECT_EQ(verdict(found), "untrusted/image-malformed");
  EXPECT_NE(message(found).find("ext4"), std::string::npos) << message(found);
}

// Which of the two is mounted would be up to whoever mounts it.
TEST_F(FileSystemProbe, TwoFileSystemsInOneAreNotAccepted) {
  std::string both = made_by({"mkfs.ext4", "-q", "-F", scratch_ / "made"});
  if (both.empty()) GTEST_SKIP() << "there is no mkfs.ext4 on this machine";
  both.replace(0, 96, squashfs().substr(0, 96));  // ext4 leaves its first 1024 bytes free
  const auto found = probe(both);
  EXPECT_EQ(verdict(found), "untrusted/image-malformed");
  EXPECT_NE(message(found).find("more than one"), std::string::npos) << message(found);
}

}  // namespace
}  // namespace driverext
