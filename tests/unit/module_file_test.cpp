#include "modules/module_file.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "modules/host_modules.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

template <class T>
std::string with_field(std::string elf, size_t offset, T value) {
  std::memcpy(elf.data() + offset, &value, sizeof(value));
  return elf;
}

TEST(ElfBuildId, IsReadFromItsNote) { EXPECT_EQ(must(elf_build_id(test::tiny_elf("\x01\x23\xab"))), "0123ab"); }

TEST(ElfBuildId, OtherNotesAreNotIt) {
  EXPECT_EQ(must(elf_build_id(test::tiny_elf("id", {.note_name = "Xen"}))), "");
  EXPECT_EQ(must(elf_build_id(test::tiny_elf("id", {.note_type = 1}))), "");
  EXPECT_EQ(must(elf_build_id(test::tiny_elf("id", {.section_type = SHT_PROGBITS}))), "");
}

TEST(ElfBuildId, FollowsOtherNotesOfTheSection) {
  EXPECT_EQ(must(elf_build_id(test::tiny_elf("\x0a\x0b", {.notes_before = 3}))), "0a0b");
}

TEST(ElfBuildId, CutFileIsAnErrorOrHasNoId) {
  const std::string elf = test::tiny_elf("0123456789");
  for (size_t size = 0; size < elf.size(); ++size) {
    const auto id = elf_build_id(elf.substr(0, size));
    EXPECT_EQ(verdict(id), "invalid_input") << size;
  }
}

TEST(ElfBuildId, OnlySixtyFourBitLittleEndianElf) {
  const std::string elf = test::tiny_elf("id");
  EXPECT_EQ(verdict(elf_build_id("")), "invalid_input");
  EXPECT_EQ(verdict(elf_build_id("#!/bin/sh\n")), "invalid_input");
  EXPECT_EQ(verdict(elf_build_id(std::string(4096, '\xff'))), "invalid_input");
  EXPECT_EQ(verdict(elf_build_id(with_field<uint8_t>(elf, EI_CLASS, ELFCLASS32))), "invalid_input");
  EXPECT_EQ(verdict(elf_build_id(with_field<uint8_t>(elf, EI_DATA, ELFDATA2MSB))), "invalid_input");
}

TEST(ElfBuildId, HostileOffsetsAreRefused) {
  const std::string elf = test::tiny_elf("id");
  for (const uint64_t offset :
       {elf.size(), elf.size() - 1, size_t{UINT64_MAX}, size_t{UINT64_MAX} - 63, size_t{1} << 63}) {
    EXPECT_EQ(verdict(elf_build_id(with_field<uint64_t>(elf, offsetof(Elf64_Ehdr, e_shoff), offset))), "invalid_input")
        << offset;
  }
  EXPECT_EQ(verdict(elf_build_id(with_field<uint16_t>(elf, offsetof(Elf64_Ehdr, e_shnum), UINT16_MAX))),
            "fine");  // found before the end
  EXPECT_EQ(verdict(elf_build_id(with_field<uint16_t>(elf, offsetof(Elf64_Ehdr, e_shentsize), 0))), "invalid_input");
  const size_t section = sizeof(Elf64_Ehdr);
  for (const uint64_t hostile : {uint64_t{UINT64_MAX}, uint64_t{1} << 63, uint64_t{elf.size()} + 1}) {
    EXPECT_EQ(verdict(elf_build_id(with_field<uint64_t>(elf, section + offsetof(Elf64_Shdr, sh_offset), hostile))),
              "invalid_input");
    EXPECT_EQ(verdict(elf_build_id(with_field<uint64_t>(elf, section + offsetof(Elf64_Shdr, sh_size), hostile))),
              "invalid_input");
  }
}

TEST(ElfBuildId, HostileNoteSizesHaveNoId) {
  const std::string elf = test::tiny_elf("id");
  const size_t note = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr);
  for (const uint32_t hostile : {UINT32_MAX, UINT32_MAX - 3, uint32_t{1} << 31}) {
    EXPECT_EQ(must(elf_build_id(with_field<uint32_t>(elf, note + offsetof(Elf64_Nhdr, n_namesz), hostile))), "");
    EXPECT_EQ(must(elf_build_id(with_field<uint32_t>(elf, note + offsetof(Elf64_Nhdr, n_descsz), hostile))), "");
  }
}

TEST(ModuleFile, WhatIsNoModuleIsRefused) {
  const test::TempDir scratch;
  for (const std::string& content : {std::string(), std::string("text"), test::tiny_elf("id")}) {
    test::write_file(scratch / "x.ko", content);
    EXPECT_EQ(verdict(read_module_file(scratch / "x.ko")), "invalid_input");
  }
  EXPECT_EQ(verdict(read_module_file(scratch / "none.ko")), "not_found");
}

TEST(ModuleFile, KernelReleaseIsTheFirstWordOfVermagic) {
  ModuleInfo info;
  info.vermagic = "6.12.107+deb13-amd64 SMP preempt mod_unload modversions";
  EXPECT_EQ(info.kernel_release(), "6.12.107+deb13-amd64");
}

TEST(HostModules, HostWithoutModulesHasNoDependency) {
  const test::TempDir scratch;
  EXPECT_EQ(verdict(open_host_modules(scratch.path())->load_order("videodev")), "not_found/dependency-missing");
  EXPECT_EQ(verdict(open_host_modules(scratch / "none")->load_order("videodev")), "not_found/dependency-missing");
}

}  // namespace
}  // namespace driverext
