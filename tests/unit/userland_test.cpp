#include "userland/userland.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "support/package.hpp"
#include "support/verdict.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;
using test::message;
using test::must;
using test::TempDir;
using test::verdict;

class Userland : public testing::Test {
 protected:
  Userland() { fs::create_directory(tmp / "scratch"); }

  [[nodiscard]] UserlandRequest request(const std::string& input) const {
    return {.input = input, .driver = "sample", .version = "", .scratch = tmp / "scratch"};
  }
  std::string write_run(const std::string& filter = "zstd", const test::OldScript& script = {}) {
    std::string path = tmp / "sample.run";
    test::write_file(path,
                     test::self_extracting(test::compressed(test::tar_of(test::sample_package()), filter), script));
    return path;
  }
  [[nodiscard]] bool scratch_is_empty() const { return fs::is_empty(tmp / "scratch"); }

  TempDir tmp;
};

// "path time", with a star if it is a program, or "path -> target", of everything but folders.
std::vector<std::string> content(const std::string& tree) {
  std::vector<std::string> lines;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(tree)) {
    const std::string name = entry.path().lexically_relative(tree).string();
    if (entry.is_symlink()) {
      lines.push_back(name + " -> " + fs::read_symlink(entry.path()).string());
    } else if (entry.is_regular_file()) {
      struct stat info {};
      if (::stat(entry.path().c_str(), &info) != 0) throw std::runtime_error("cannot look at " + name);
      const unsigned mode = info.st_mode & 07777U;
      const std::string shown = mode == 0755 ? " *" : mode == 0644 ? "" : " of mode " + std::to_string(mode);
      lines.push_back(name + shown + " " + std::to_string(info.st_mtim.tv_sec));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

const std::vector<std::string> kSampleTree = {
    "usr/bin/sample-smi * 1700000000",
    "usr/lib/firmware/sample/580.65.06/gsp.bin 1700000000",
    "usr/lib64/libcuda.so -> libcuda.so.1",
    "usr/lib64/libcuda.so.1 -> libcuda.so.580.65.06",
    "usr/lib64/libcuda.so.580.65.06 * 1700000000",
    "usr/lib64/libsample-jit.so.1 -> libsample-jit.so.580.65.06",  // by its SONAME
    "usr/lib64/libsample-jit.so.580.65.06 * 1700000000",
    "usr/share/OpenCL/vendors/sample.icd 1700000000",
    "usr/share/licenses/sample/LICENSE 1700000000",
};

TEST_F(Userland, ArchiveBecomesATree) {
  const UserlandTree made = must(prepare_userland(request(write_run())));
  EXPECT_EQ(content(made.tree), kSampleTree);
  EXPECT_EQ(made.version, "580.65.06");
  EXPECT_EQ(made.machine, "x86_64");
  EXPECT_EQ(made.checksum, Checksum::md5);
  EXPECT_EQ(made.files, 6U);
  EXPECT_GT(made.bytes, 3000U);
}

TEST_F(Userland, FolderThatAnArchiveWasUnpackedIntoGivesTheSameAndStaysAsItWas) {
  test::write_package(tmp / "package", test::sample_package());
  const std::vector<std::string> before = test::listing(tmp / "package");
  const UserlandTree made = must(prepare_userland(request(tmp / "package")));
  EXPECT_EQ(content(made.tree), kSampleTree);
  EXPECT_EQ(test::listing(tmp / "package"), before);
}

TEST_F(Userland, SourcesOfModulesAreToldApart) {
  const UserlandTree made = must(prepare_userland(request(write_run("xz -C none"))));
  ASSERT_EQ(made.module_sources.size(), 2U);
  EXPECT_EQ(made.module_sources[0].flavor, "proprietary");
  EXPECT_EQ(made.module_sources[1].flavor, "open");
  EXPECT_EQ(test::read_whole(made.module_sources[1].folder + "/sample/core.c"), "int core;\n");
  EXPECT_TRUE(test::exists(made.module_sources[0].folder + "/dkms.conf"));
}

TEST_F(Userland, NothingOfTheArchiveIsRun) {
  const std::string marker = tmp / "was-run";
  const std::string program = "#!/bin/sh\ntouch " + marker + "\n";
  must(prepare_userland(request(write_run("zstd", {.decompressor = program, .run = "touch " + marker}))));
  EXPECT_FALSE(test::exists(marker));
}

TEST_F(Userland, RealMakeselfsArchivesAreTaken) {
  test::write_package(tmp / "package", test::sample_package());
  for (const char* how : {"--gzip", "--xz", "--zstd --sha256", "--nocomp"}) {
    fs::remove_all(tmp / "scratch");
    fs::create_directory(tmp / "scratch");
    must(run_program({"sh", "-c",
                      std::string("makeself ") + how + " " + (tmp / "package") + " " + (tmp / "m.run") +
                          " label ./sample-installer 2>&1"}));
    EXPECT_EQ(content(must(prepare_userland(request(tmp / "m.run"))).tree), kSampleTree) << how;
  }
}

TEST_F(Userland, AnotherVersionIsRefused) {
  UserlandRequest other = request(write_run());
  other.version = "570.00";
  EXPECT_NE(message(prepare_userland(other)).find("580.65.06, not 570.00"), std::string::npos);
  EXPECT_TRUE(scratch_is_empty());
  other.version = "580.65.06";
  EXPECT_TRUE(prepare_userland(other));
}

TEST_F(Userland, DamagedArchiveLeavesNothing) {
  const std::string whole = test::read_whole(write_run());
  for (size_t i = 0; i < 32; ++i) {
    test::write_file(tmp / "cut.run", whole.substr(0, whole.size() * i / 32));
    EXPECT_EQ(verdict(prepare_userland(request(tmp / "cut.run"))), "invalid_input") << i;
    EXPECT_TRUE(scratch_is_empty()) << i;
  }
  std::string damaged = whole;
  damaged[damaged.size() - 40] = static_cast<char>(damaged[damaged.size() - 40] ^ 0x10);
  test::write_file(tmp / "damaged.run", damaged);
  EXPECT_EQ(verdict(prepare_userland(request(tmp / "damaged.run"))), "invalid_input");
  EXPECT_TRUE(scratch_is_empty());
}

TEST_F(Userland, IncompletePackageLeavesNothing) {
  test::write_package(tmp / "package", test::sample_package());
  fs::remove(tmp / "package/libsample-jit.so.580.65.06");
  EXPECT_NE(message(prepare_userland(request(tmp / "package"))).find("lacks libsample-jit.so.580.65.06"),
            std::string::npos);
  EXPECT_TRUE(scratch_is_empty());
}

TEST_F(Userland, FileThatIsALinkIsNotFollowed) {
  test::write_package(tmp / "package", test::sample_package());
  fs::remove(tmp / "package/sample-smi");
  fs::create_symlink("/etc/shadow", tmp / "package/sample-smi");
  EXPECT_FALSE(prepare_userland(request(tmp / "package")));
  EXPECT_TRUE(scratch_is_empty());
}

TEST_F(Userland, InterruptedWorkLeavesNothing) {
  const UniqueFd event(::eventfd(1, EFD_CLOEXEC));
  UserlandRequest stopped = request(write_run());
  stopped.work.cancel_fd = event.get();
  EXPECT_EQ(verdict(prepare_userland(stopped)), "transient");
  EXPECT_TRUE(scratch_is_empty());
}

TEST_F(Userland, RemainsOfAnEarlierRunAreNotMixedIn) {
  test::write_file(tmp / "scratch/tree/usr/bin/old", "old");
  EXPECT_EQ(verdict(prepare_userland(request(write_run()))), "conflict");
  EXPECT_TRUE(test::exists(tmp / "scratch/tree/usr/bin/old"));
}

TEST_F(Userland, FolderOfLibrariesIsLaidOut) {
  test::write_file(tmp / "plain/libx.so.1.2", test::tiny_library({.soname = "libx.so.1"}), 0755);
  test::write_file(tmp / "plain/libold.so", test::tiny_library_32("libold.so"), 0755);
  test::write_file(tmp / "plain/libtext.so", "INPUT(libx.so.1)\n");
  test::write_file(tmp / "plain/tool", test::tiny_library(), 0755);
  test::write_file(tmp / "plain/script", "#!/bin/sh\n", 0755);
  test::write_file(tmp / "plain/README", "read me\n");
  test::write_file(tmp / "plain/more/libdeep.so", test::tiny_library());
  fs::create_symlink("libx.so.1.2", tmp / "plain/libx.so");
  fs::create_symlink("/lib/libc.so.6", tmp / "plain/libout.so");
  UserlandRequest plain = request(tmp / "plain");
  EXPECT_NE(message(prepare_userland(plain)).find("state the version"), std::string::npos);
  EXPECT_TRUE(scratch_is_empty());
  plain.version = "1.2";
  const UserlandTree made = must(prepare_userland(plain));
  std::vector<std::string> names;
  for (const std::string& line : content(made.tree)) names.push_back(line.substr(0, line.find(" 1")));
  EXPECT_EQ(names, (std::vector<std::string>{"usr/bin/script *", "usr/bin/tool *", "usr/lib64/libx.so -> libx.so.1.2",
                                             "usr/lib64/libx.so.1 -> libx.so.1.2", "usr/lib64/libx.so.1.2 *"}));
  size_t left = 0;
  for (const LeftOut& reason : made.left_out) left += reason.paths.size();
  EXPECT_EQ(left, 5U);  // libold.so, libtext.so, README, more, libout.so
}

TEST_F(Userland, NarrowLibrariesHaveAFolderOfTheirOwn) {
  test::write_file(tmp / "plain/libx.so.1.2", test::tiny_library_32("libx.so.1"), 0755);
  fs::create_symlink("libx.so.1", tmp / "plain/libx.so");
  fs::create_symlink("libx.so.1.2", tmp / "plain/libx.so.1");
  UserlandRequest plain = request(tmp / "plain");
  plain.version = "1.2";
  EXPECT_EQ(verdict(prepare_userland(plain)), "invalid_input");
  plain.compat32 = Compat32::include;
  EXPECT_EQ(content(must(prepare_userland(plain)).tree).front(), "usr/lib/libx.so -> libx.so.1");
}

TEST_F(Userland, LibrariesOfTwoMachinesAreRefused) {
  test::write_file(tmp / "plain/liba.so", test::tiny_library(), 0755);
  test::write_file(tmp / "plain/libb.so", test::tiny_library({.machine = 183}), 0755);
  UserlandRequest plain = request(tmp / "plain");
  plain.version = "1";
  EXPECT_NE(message(prepare_userland(plain)).find("aarch64"), std::string::npos);
}

TEST_F(Userland, FolderWithUsrIsTakenAsItIs) {
  test::write_file(tmp / "ready/usr/lib64/libx.so.1", test::tiny_library({.soname = "libx.so.1"}), 0755);
  UserlandRequest ready = request(tmp / "ready");
  ready.version = "3";
  const UserlandTree made = must(prepare_userland(ready));
  EXPECT_EQ(made.tree, fs::canonical(tmp / "ready").string());
  EXPECT_EQ(made.machine, "x86_64");
  EXPECT_TRUE(scratch_is_empty());
}

TEST_F(Userland, TreeThatIsNoExtensionIsRefused) {
  const auto refused = [&](const std::string& file, mode_t mode) {
    fs::remove_all(tmp / "ready");
    test::write_file(tmp / "ready/usr/bin/tool", "#!/bin/sh\n", 0755);
    test::write_file(tmp / ("ready/" + file), "x", mode);
    UserlandRequest ready = request(tmp / "ready");
    ready.version = "3";
    return verdict(prepare_userland(ready));
  };
  EXPECT_EQ(refused("usr/share/x", 0644), "fine");
  EXPECT_EQ(refused("etc/x", 0644), "invalid_input");
  EXPECT_EQ(refused("README", 0644), "invalid_input");
  EXPECT_EQ(refused("usr/lib/modules/6.1/modules.dep", 0644), "invalid_input");
  EXPECT_EQ(refused("usr/lib/modules/6.1/extra/x.ko", 0644), "invalid_input");
  EXPECT_EQ(refused("usr/bin/su", 04755), "invalid_input");
  ASSERT_EQ(refused("usr/bin/x", 0755), "fine");
  ASSERT_EQ(::mkfifo((tmp / "ready/usr/bin/pipe").c_str(), 0600), 0);
  UserlandRequest ready = request(tmp / "ready");
  ready.version = "3";
  EXPECT_NE(message(prepare_userland(ready)).find("pipe is neither"), std::string::npos);
}

TEST_F(Userland, SameInputGivesTheSameTreeWhateverTheUmask) {
  const std::string run = write_run("gzip");
  const std::vector<std::string> usual = content(must(prepare_userland(request(run))).tree);
  fs::remove_all(tmp / "scratch/tree");
  fs::remove_all(tmp / "scratch/package");
  const mode_t before = ::umask(0077);
  const std::vector<std::string> strict = content(must(prepare_userland(request(run))).tree);
  ::umask(before);
  EXPECT_EQ(usual, strict);
}

TEST_F(Userland, WhatIsNeitherFolderNorArchiveIsRefused) {
  EXPECT_EQ(verdict(prepare_userland(request("/dev/null"))), "invalid_input");
  EXPECT_EQ(verdict(prepare_userland(request(tmp / "gone"))), "not_found");
  test::write_file(tmp / "empty/.manifest", "");
  EXPECT_EQ(verdict(prepare_userland(request(tmp / "empty"))), "invalid_input");
  UserlandRequest strange = request(write_run());
  strange.driver = "../x";
  EXPECT_EQ(verdict(prepare_userland(strange)), "invalid_input");
}

}  // namespace
}  // namespace driverext
