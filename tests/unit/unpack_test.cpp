#include "userland/unpack.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "support/package.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"
#include "userland/elf_dynamic.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TarEntry;
using test::TempDir;
using test::verdict;

// Unpacks bytes that lie somewhere inside a file, into a folder of the test's.
class Unpacking {
 public:
  Result<void> run(const std::string& archive, const UnpackLimits& limits = {}, const UserlandWork& work = {}) {
    const std::string file = tmp / "file";
    test::write_file(file, "before" + archive + "behind");
    test::write_file(tmp / "into/there", "");
    ::unlink((tmp / "into/there").c_str());
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    return unpack_tar(fd.get(), "sample.run", {6, archive.size()}, must(Dir::open_root(tmp / "into")), work, limits);
  }
  [[nodiscard]] std::string read(const std::string& name) const { return test::read_whole(tmp / ("into/" + name)); }
  [[nodiscard]] struct stat status(const std::string& name) const {
    struct stat info {};
    if (::lstat((tmp / ("into/" + name)).c_str(), &info) != 0) throw std::runtime_error("no " + name);
    return info;
  }

  TempDir tmp;
};

std::vector<TarEntry> sample() {
  return {{"./", "", '5', "", 0755},
          {"./a/b/file", "content", '0', "", 0644},
          {"./a/program", "#!/bin/sh\n", '0', "", 06755, 1'600'000'000},
          {"./a/link", "", '2', "b/file"},
          {"./a/b/up", "", '2', "../program"},
          {"./same", "", '1', "./a/b/file"}};
}

TEST(Unpack, EveryCompressionIsKnownByItsFirstBytes) {
  for (const char* filter : {"cat", "gzip", "bzip2", "xz", "xz -C none", "zstd -19 --long=27"}) {
    Unpacking unpacking;
    ASSERT_TRUE(unpacking.run(test::compressed(test::tar_of(sample()), filter))) << filter;
    EXPECT_EQ(unpacking.read("a/b/file"), "content") << filter;
    EXPECT_EQ(unpacking.read("a/link"), "content") << filter;
    EXPECT_EQ(unpacking.read("same"), "content") << filter;
    EXPECT_EQ(unpacking.read("a/b/up"), "#!/bin/sh\n") << filter;
  }
}

// pax headers hold names in UTF-8, those of other formats bytes.
TEST(Unpack, NamesOfEveryLanguageAreKept) {
  TempDir made;
  test::write_file(made / "in/größe/文", "content");
  must(made.dir().make_link("文", "in/größe/verknüpft"));
  std::filesystem::create_hard_link(made / "in/größe/文", made / "in/größe/zweite-文");
  for (const char* format : {"pax", "gnu", "ustar"}) {
    Unpacking unpacking;
    must(run_program({"tar", "-C", made / "in", "--format", format, "-cf", made / "archive", "."}));
    EXPECT_EQ(message(unpacking.run(test::read_whole(made / "archive"))), "fine") << format;
    EXPECT_EQ(unpacking.read("größe/verknüpft"), "content") << format;
    EXPECT_EQ(unpacking.read("größe/zweite-文"), "content") << format;
  }
}

TEST(Unpack, NoOtherProgramIsRun) {
  const std::string archive = test::compressed(test::tar_of(sample()), "zstd");
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", "/nowhere", 1), 0);
  Unpacking unpacking;
  const auto done = unpacking.run(archive);
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(message(done), "fine");
}

TEST(Unpack, OfAModeOnlyTheExecuteBitIsKept) {
  Unpacking unpacking;
  ASSERT_TRUE(unpacking.run(test::tar_of(sample())));
  EXPECT_EQ(unpacking.status("a/program").st_mode & 07777U, 0755U);
  EXPECT_EQ(unpacking.status("a/b/file").st_mode & 07777U, 0644U);
  EXPECT_EQ(unpacking.status("a").st_mode & 07777U, 0755U);
  EXPECT_EQ(unpacking.status("a/program").st_mtim.tv_sec, 1'600'000'000);
}

TEST(Unpack, NothingIsWrittenOutsideOfTheFolder) {
  const std::vector<std::vector<TarEntry>> cases = {
      {{"../out", "x"}},
      {{"a/../../out", "x"}},
      {{"/out", "x"}},
      {{"a", "", '2', "/etc"}},
      {{"a", "", '2', "../out"}},
      {{"a/b", "", '2', "../../out"}},
      // A link up inside the archive, and another through it.
      {{"p/q/up", "", '2', "../.."}, {"p/q/out", "", '2', "up/../../out"}},
      {{"a", "", '2', ""}},
      {{"same", "", '1', "../out"}},
      {{"same", "", '1', "/etc/passwd"}},
      {{"same", "", '1', "not-there"}},
      // By way of a link that the same archive holds.
      {{"a", "", '2', "b"}, {"same", "", '1', "a"}},
  };
  for (const auto& entries : cases) {
    Unpacking unpacking;
    EXPECT_EQ(verdict(unpacking.run(test::tar_of(entries))), "invalid_input") << entries.back().name;
    EXPECT_FALSE(test::exists(unpacking.tmp / "out")) << entries.back().name;
  }
}

// Links are made when all files are written, so none of them leads a file anywhere.
TEST(Unpack, FileIsNotWrittenThroughALink) {
  Unpacking unpacking;
  EXPECT_EQ(verdict(unpacking.run(test::tar_of({{"b/", "", '5'}, {"a", "", '2', "b"}, {"a/file", "x"}}))),
            "invalid_input");
  EXPECT_FALSE(test::exists(unpacking.tmp / "into/b/file"));
}

TEST(Unpack, OnlyFilesFoldersAndLinksComeToBe) {
  for (const char type : {'3', '4', '6'}) {
    Unpacking unpacking;
    EXPECT_NE(message(unpacking.run(test::tar_of({{"dev", "", type}}))).find("neither file"), std::string::npos)
        << type;
    EXPECT_FALSE(test::exists(unpacking.tmp / "into/dev")) << type;
  }
}

TEST(Unpack, NameThatStandsInItTwiceIsRefused) {
  for (const auto& entries : std::vector<std::vector<TarEntry>>{{{"a", "1"}, {"a", "2"}},
                                                                {{"a", "1"}, {"a/b", "2"}},
                                                                {{"a/b", "1"}, {"a", "2"}},
                                                                {{"a", "1"}, {"a", "", '2', "b"}},
                                                                {{"a", "1"}, {"./a/", "", '5'}}}) {
    Unpacking unpacking;
    EXPECT_EQ(verdict(unpacking.run(test::tar_of(entries))), "invalid_input");
  }
}

TEST(Unpack, SizesAndNumbersAreBounded) {
  const std::string kilobyte(1024, 'x');
  const auto refused = [](const std::vector<TarEntry>& entries, const UnpackLimits& limits) {
    Unpacking unpacking;
    return verdict(unpacking.run(test::tar_of(entries), limits));
  };
  EXPECT_EQ(refused({{"a", kilobyte}}, {.file = 1024}), "fine");
  EXPECT_EQ(refused({{"a", kilobyte}}, {.file = 1023}), "invalid_input");
  EXPECT_EQ(refused({{"a", kilobyte}, {"b", kilobyte}}, {.total = 2048}), "fine");
  EXPECT_EQ(refused({{"a", kilobyte}, {"b", kilobyte}}, {.total = 2047}), "invalid_input");
  EXPECT_EQ(refused({{"a", ""}, {"b", ""}}, {.entries = 1}), "invalid_input");
  EXPECT_EQ(refused({{"a/b/c", ""}}, {.depth = 2}), "invalid_input");
  EXPECT_EQ(refused({{"a/b/c", ""}}, {.path = 4}), "invalid_input");
  EXPECT_EQ(refused({{"a", "", '2', "12345"}}, {.path = 4}), "invalid_input");
  EXPECT_EQ(refused({{"a\nb", ""}}, {}), "invalid_input");
}

TEST(Unpack, WhatIsCutShortIsRefused) {
  std::string noise;
  for (unsigned i = 0, state = 1; i < 20'000; ++i, state = state * 1664525 + 1013904223) {
    noise += static_cast<char>(state >> 24);
  }
  for (const char* filter : {"gzip", "bzip2", "xz", "zstd"}) {
    const std::string whole = test::compressed(test::tar_of({{"noise", noise}}), filter);
    for (size_t i = 1; i < 32; ++i) {
      Unpacking unpacking;
      EXPECT_EQ(verdict(unpacking.run(whole.substr(0, whole.size() * i / 32))), "invalid_input") << filter << " " << i;
    }
  }
}

TEST(Unpack, WhatIsNoArchiveIsRefused) {
  for (const std::string& bytes : {std::string("\x7f"
                                               "ELF nonsense"),
                                   std::string(2000, 'x'), std::string(2048, '\0'), test::compressed("text", "gzip")}) {
    Unpacking unpacking;
    EXPECT_EQ(verdict(unpacking.run(bytes)), "invalid_input");
  }
}

TEST(Unpack, InterruptedWorkStops) {
  const UniqueFd event(::eventfd(1, EFD_CLOEXEC));
  Unpacking unpacking;
  EXPECT_EQ(verdict(unpacking.run(test::tar_of(sample()), {}, {.cancel_fd = event.get()})), "transient");
}

std::optional<ElfDynamic> dynamic_of(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return read_elf_dynamic(fd.get());
}

TEST(ElfDynamic, NameIsRead) {
  const TempDir tmp;
  test::write_file(tmp / "lib", test::tiny_library({.soname = "libx.so.1"}));
  const auto elf = dynamic_of(tmp / "lib");
  ASSERT_TRUE(elf);
  EXPECT_EQ(elf->soname, "libx.so.1");
  EXPECT_EQ(elf->machine, "x86_64");
  EXPECT_TRUE(elf->is_64_bit);
}

TEST(ElfDynamic, NarrowLibraryIsRead) {
  const TempDir tmp;
  test::write_file(tmp / "lib", test::tiny_library_32("libx.so.1"));
  const auto elf = dynamic_of(tmp / "lib");
  ASSERT_TRUE(elf);
  EXPECT_EQ(elf->soname, "libx.so.1");
  EXPECT_EQ(elf->machine, "i686");
  EXPECT_FALSE(elf->is_64_bit);
}

TEST(ElfDynamic, RealLibraryIsRead) {
  const std::string path = must(run_program({"g++", "-print-file-name=libc.so.6"}));
  const auto elf = dynamic_of(path.substr(0, path.find('\n')));
  ASSERT_TRUE(elf) << path;
  EXPECT_EQ(elf->soname, "libc.so.6");
  EXPECT_TRUE(elf->is_64_bit);
}

}  // namespace
}  // namespace driverext
