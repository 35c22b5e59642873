#include "modules/module_file.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "modules/elf_file.hpp"
#include "modules/host_modules.hpp"
#include "modules/module_compression.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

template <class T>
std::string with_field(std::string elf, size_t offset, T value) {
  std::memcpy(elf.data() + offset, &value, sizeof(value));
  return elf;
}

Result<std::string> build_id_of(const std::string& bytes) {
  TRY(const ElfFile elf, ElfFile::of_bytes(as_bytes(bytes)));
  return elf.build_id();
}

Result<ModuleInfo> info_of(const std::string& bytes) {
  TRY(const ElfFile elf, ElfFile::of_bytes(as_bytes(bytes)));
  return read_module_info(elf);
}

Result<std::map<std::string, uint32_t>> imports_of(const std::string& bytes) {
  TRY(const ElfFile elf, ElfFile::of_bytes(as_bytes(bytes)));
  return read_imports(elf);
}

TEST(ElfBuildId, IsReadFromItsNote) { EXPECT_EQ(must(build_id_of(test::tiny_elf("\x01\x23\xab"))), "0123ab"); }

TEST(ElfBuildId, OtherNotesAreNotIt) {
  EXPECT_EQ(must(build_id_of(test::tiny_elf("id", {.note_name = "Xen"}))), "");
  EXPECT_EQ(must(build_id_of(test::tiny_elf("id", {.note_type = 1}))), "");
  EXPECT_EQ(must(build_id_of(test::tiny_elf("id", {.section_type = SHT_PROGBITS}))), "");
}

TEST(ElfBuildId, FollowsOtherNotesOfTheSection) {
  EXPECT_EQ(must(build_id_of(test::tiny_elf("\x0a\x0b", {.notes_before = 3}))), "0a0b");
}

TEST(ElfBuildId, HostileNoteSizesHaveNoId) {
  const std::string elf = test::tiny_elf("id");
  const size_t note = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr);
  for (const uint32_t hostile : {UINT32_MAX, UINT32_MAX - 3, uint32_t{1} << 31}) {
    EXPECT_EQ(must(build_id_of(with_field<uint32_t>(elf, note + offsetof(Elf64_Nhdr, n_namesz), hostile))), "");
    EXPECT_EQ(must(build_id_of(with_field<uint32_t>(elf, note + offsetof(Elf64_Nhdr, n_descsz), hostile))), "");
  }
}

TEST(ElfFile, CutFileIsAnError) {
  const std::string elf = test::tiny_elf("0123456789");
  for (size_t size = 0; size < elf.size(); ++size) {
    EXPECT_EQ(verdict(build_id_of(elf.substr(0, size))), "invalid_input") << size;
  }
  const std::string module = test::tiny_module({});
  for (size_t size = 0; size < module.size(); ++size) {
    EXPECT_EQ(verdict(info_of(module.substr(0, size))), "invalid_input") << size;
  }
}

TEST(ElfFile, OnlySixtyFourBitLittleEndian) {
  const std::string elf = test::tiny_elf("id");
  EXPECT_EQ(verdict(build_id_of("")), "invalid_input");
  EXPECT_EQ(verdict(build_id_of("#!/bin/sh\n")), "invalid_input");
  EXPECT_EQ(verdict(build_id_of(std::string(4096, '\xff'))), "invalid_input");
  EXPECT_EQ(verdict(build_id_of(with_field<uint8_t>(elf, EI_CLASS, ELFCLASS32))), "invalid_input");
  EXPECT_EQ(verdict(build_id_of(with_field<uint8_t>(elf, EI_DATA, ELFDATA2MSB))), "invalid_input");
}

TEST(ElfFile, HostileOffsetsAreRefused) {
  const std::string elf = test::tiny_elf("id");
  for (const uint64_t offset :
       {elf.size(), elf.size() - 1, size_t{UINT64_MAX}, size_t{UINT64_MAX} - 63, size_t{1} << 63}) {
    EXPECT_EQ(verdict(build_id_of(with_field<uint64_t>(elf, offsetof(Elf64_Ehdr, e_shoff), offset))), "invalid_input")
        << offset;
  }
  EXPECT_EQ(verdict(build_id_of(with_field<uint16_t>(elf, offsetof(Elf64_Ehdr, e_shnum), UINT16_MAX))),
            "invalid_input");
  EXPECT_EQ(verdict(build_id_of(with_field<uint16_t>(elf, offsetof(Elf64_Ehdr, e_shentsize), 0))), "invalid_input");
  EXPECT_EQ(verdict(build_id_of(with_field<uint16_t>(elf, offsetof(Elf64_Ehdr, e_shstrndx), 1))), "invalid_input");
  const size_t section = sizeof(Elf64_Ehdr);
  for (const uint64_t hostile : {uint64_t{UINT64_MAX}, uint64_t{1} << 63, uint64_t{elf.size()} + 1}) {
    EXPECT_EQ(verdict(build_id_of(with_field<uint64_t>(elf, section + offsetof(Elf64_Shdr, sh_offset), hostile))),
              "invalid_input");
    EXPECT_EQ(verdict(build_id_of(with_field<uint64_t>(elf, section + offsetof(Elf64_Shdr, sh_size), hostile))),
              "invalid_input");
  }
}

TEST(ElfFile, SectionsAreFoundByNameAndBounded) {
  const std::string object = test::tiny_object({{"one", SHT_PROGBITS, "first"}, {"two", SHT_PROGBITS, "second"}});
  const ElfFile elf = must(ElfFile::of_bytes(as_bytes(object)));
  EXPECT_EQ(must(elf.section("two", 6)), "second");
  EXPECT_EQ(must(elf.section("three", 6)), std::nullopt);
  EXPECT_EQ(verdict(elf.section("two", 5)), "invalid_input");
}

TEST(ElfFile, SectionThatHasNoBytesInTheFileIsEmpty) {
  std::string object = test::tiny_object({{".bss", SHT_NOBITS, ""}});
  const size_t size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size);
  object = with_field<uint64_t>(object, size, UINT64_MAX);
  EXPECT_EQ(must(must(ElfFile::of_bytes(as_bytes(object))).section(".bss", 0)), "");
}

TEST(ModuleFile, AllThatItSaysIsRead) {
  const ModuleInfo info = must(info_of(test::tiny_module(
      {.name = "test-cam",
       .depends = "test-core,videodev",
       .info = {"version=1.2-rc3", "srcversion=BC43B0AB13D434BA11C7B0C", "alias=pci:v000010DEd*sv*",
                "alias=char-major-81-*", "firmware=cam/a.bin", "softdep=pre: one two post: three", "softdep=post: four",
                "import_ns=DMA_BUF", "import_ns=VIDEO", "retpoline=Y", "intree=Y", "parm=debug:how much to say: 0 to 3",
                "parmtype=debug:int", "parmtype=devices:array of charp", "parm=words:only described"},
       .comment = std::string("GCC: (Debian 14.2.0-19) 14.2.0\0GCC: (Debian 14.2.0-19) 14.2.0\0\0rustc version 1.85\0",
                              81)})));
  using Names = std::vector<std::string>;
  EXPECT_EQ(info.name, "test_cam");
  EXPECT_EQ(info.vermagic, "6.12.1-test SMP preempt mod_unload modversions");
  EXPECT_EQ(info.version, "1.2-rc3");
  EXPECT_EQ(info.srcversion, "BC43B0AB13D434BA11C7B0C");
  EXPECT_EQ(info.license, "GPL");
  EXPECT_EQ(info.machine, "x86_64");
  EXPECT_EQ(info.build_id, to_hex(as_bytes("0123456789abcdef0123")));
  EXPECT_EQ(info.depends, (Names{"test_core", "videodev"}));
  EXPECT_EQ(info.softdeps_pre, (Names{"one", "two"}));
  EXPECT_EQ(info.softdeps_post, (Names{"three", "four"}));
  EXPECT_EQ(info.aliases, (Names{"pci:v000010DEd*sv*", "char-major-81-*"}));
  EXPECT_EQ(info.firmware, Names{"cam/a.bin"});
  EXPECT_EQ(info.import_namespaces, (Names{"DMA_BUF", "VIDEO"}));
  EXPECT_EQ(info.toolchain, (Names{"GCC: (Debian 14.2.0-19) 14.2.0", "rustc version 1.85"}));
  EXPECT_TRUE(info.intree);
  EXPECT_TRUE(info.retpoline);
  ASSERT_EQ(info.parameters.size(), 3U);
  EXPECT_EQ(info.parameters[0].name, "debug");
  EXPECT_EQ(info.parameters[0].type, "int");
  EXPECT_EQ(info.parameters[0].description, "how much to say: 0 to 3");
  EXPECT_EQ(info.parameters[1].name, "devices");
  EXPECT_EQ(info.parameters[1].type, "array of charp");
  EXPECT_EQ(info.parameters[1].description, "");
  EXPECT_EQ(info.parameters[2].type, "");
}

TEST(ModuleFile, WhatIsNoModuleIsRefused) {
  const test::TempDir scratch;
  for (const std::string& content :
       {std::string(), std::string("text"), test::tiny_elf("id"),
        test::tiny_object({{".modinfo", SHT_PROGBITS, "license=GPL"}}), test::tiny_module({.name = ""}),
        test::tiny_module({.vermagic = ""}),
        with_field<uint16_t>(test::tiny_module({}), offsetof(Elf64_Ehdr, e_type), ET_DYN)}) {
    test::write_file(scratch / "x.ko", content);
    EXPECT_EQ(verdict(read_module_file(scratch / "x.ko")), "invalid_input");
  }
  EXPECT_EQ(verdict(read_module_file(scratch / "none.ko")), "not_found");
  EXPECT_EQ(verdict(read_module_file(scratch.path())), "invalid_input");
}

TEST(ModuleFile, KernelReleaseIsTheFirstWordOfVermagic) {
  ModuleInfo info;
  info.vermagic = "6.12.107+deb13-amd64 SMP preempt mod_unload modversions";
  EXPECT_EQ(info.kernel_release(), "6.12.107+deb13-amd64");
}

TEST(ModuleImports, AreSymbolsWithTheirCrcs) {
  const auto imports = must(imports_of(test::tiny_module({.versions = {{"module_layout", 0xd0c1b2a3}, {"kfree", 7}}})));
  EXPECT_EQ(imports, (std::map<std::string, uint32_t>{{"kfree", 7}, {"module_layout", 0xd0c1b2a3}}));
  EXPECT_TRUE(must(imports_of(test::tiny_module({}))).empty());
}

// struct modversion_info has room for 55 characters; Linux 6.14 brought tables for longer names.
TEST(ModuleImports, OfTheExtendedTableHaveLongNames) {
  const std::string rust(200, 'R');
  const std::string crcs("\x01\0\0\0\x02\0\0\0", 8);
  const std::string names = "kfree" + std::string(1, '\0') + rust + std::string(2, '\0');
  const test::TinySection table{"__version_ext_crcs", SHT_PROGBITS, crcs};
  const test::TinySection list{"__version_ext_names", SHT_PROGBITS, names};
  const std::map<std::string, uint32_t> both = {{"kfree", 1}, {rust, 2}};
  EXPECT_EQ(must(imports_of(test::tiny_object({table, list}))), both);
  const test::TinySection old{"__versions", SHT_PROGBITS, test::version_table({{"kfree", 1}})};
  EXPECT_EQ(must(imports_of(test::tiny_object({old, table, list}))), both);
  const test::TinySection other{"__versions", SHT_PROGBITS, test::version_table({{"kfree", 9}})};
  EXPECT_EQ(verdict(imports_of(test::tiny_object({other, table, list}))), "invalid_input");
  EXPECT_EQ(verdict(imports_of(test::tiny_object({table}))), "invalid_input");
  EXPECT_EQ(verdict(imports_of(test::tiny_object({list}))), "invalid_input");
  EXPECT_EQ(verdict(imports_of(test::tiny_object({{table.name, SHT_PROGBITS, crcs.substr(0, 7)}, list}))),
            "invalid_input");
}

TEST(ModuleImports, DamagedTableIsRefused) {
  const std::string table = test::version_table({{"module_layout", 1}, {"kfree", 7}});
  const auto refused = [](const std::string& content) {
    return verdict(imports_of(test::tiny_object({{"__versions", SHT_PROGBITS, content}})));
  };
  EXPECT_EQ(refused(table), "fine");
  EXPECT_EQ(refused(table.substr(1)), "invalid_input");
  EXPECT_EQ(refused(with_field<uint64_t>(table, 0, uint64_t{1} << 32)), "invalid_input");
  EXPECT_EQ(refused(table.substr(0, 8) + std::string(56, 'x') + table.substr(64)), "invalid_input");
  EXPECT_EQ(refused(std::string(64, '\0')), "invalid_input");
}

// The tools of distributions, as they call them.
const std::map<std::string, std::vector<std::string>> kCompressors = {
    {"xz", {"xz", "--check=crc32", "--lzma2=dict=1MiB"}}, {"zst", {"zstd", "-q", "-19"}}, {"gz", {"gzip", "-n"}}};

// As the tool of that file name ending makes it.
std::string compressed(const std::string& ending, const std::string& content) {
  const test::TempDir scratch;
  test::write_file(scratch / "x", content);
  std::vector<std::string> command = kCompressors.at(ending);
  command.insert(command.end(), {"-k", scratch / "x"});
  must(run_program(command));
  return test::read_whole(scratch / "x." + ending);
}

Result<std::string> plain_of(const std::string& file, size_t max_size = 1 << 20) {
  TRY(const OwnedBytes plain, decompress(as_bytes(file), compression_of(as_bytes(file)), max_size));
  return std::string(as_text(plain.span()));
}

TEST(ModuleCompression, CompressedModuleIsReadLikeAPlainOne) {
  const test::TempDir scratch;
  const std::string module = test::tiny_module({.versions = {{"module_layout", 1}}}) + std::string(300'000, 'p');
  for (const auto& [ending, command] : kCompressors) {
    const std::string path = scratch / "x.ko." + ending;
    test::write_file(path, compressed(ending, module));
    EXPECT_EQ(must(read_module_file(path)).name, "testcam") << ending;
    const PlainModule bytes = must(load_module_file(path));
    EXPECT_EQ(as_text(bytes.content.span()), module) << ending;
    EXPECT_NE(bytes.compression, Compression::none);
  }
  test::write_file(scratch / "x.ko", module);
  EXPECT_EQ(must(load_module_file(scratch / "x.ko")).compression, Compression::none);
}

TEST(ModuleCompression, NameOfAFileSaysNothing) {
  const test::TempDir scratch;
  test::write_file(scratch / "plain.ko.xz", test::tiny_module({}));
  test::write_file(scratch / "packed.ko", compressed("xz", test::tiny_module({})));
  EXPECT_EQ(must(read_module_file(scratch / "plain.ko.xz")).name, "testcam");
  EXPECT_EQ(must(read_module_file(scratch / "packed.ko")).name, "testcam");
}

TEST(ModuleCompression, CutDataIsAnErrorAtEveryLength) {
  for (const auto& [ending, command] : kCompressors) {
    const std::string file = compressed(ending, test::tiny_module({}));
    ASSERT_EQ(verdict(plain_of(file)), "fine");
    for (size_t size = 6; size < file.size(); ++size) {
      EXPECT_EQ(verdict(plain_of(file.substr(0, size))), "invalid_input") << ending << " " << size;
    }
  }
}

TEST(ModuleCompression, DataBehindTheEndIsAnError) {
  for (const auto& [ending, command] : kCompressors) {
    EXPECT_EQ(verdict(plain_of(compressed(ending, "content") + "behind")), "invalid_input") << ending;
  }
}

TEST(ModuleCompression, OutputIsBounded) {
  const std::string zeros(500'000, '\0');
  for (const auto& [ending, command] : kCompressors) {
    const std::string file = compressed(ending, zeros);
    EXPECT_LT(file.size(), 2000U);
    EXPECT_EQ(must(plain_of(file, zeros.size())), zeros) << ending;
    const auto refused = plain_of(file, zeros.size() - 1);
    EXPECT_EQ(verdict(refused), "invalid_input") << ending;
    EXPECT_NE(test::message(refused).find("larger than"), std::string::npos) << test::message(refused);
  }
}

TEST(ModuleCompression, FlippedBitsNeverPassAsTheModule) {
  const std::string module = test::tiny_module({});
  for (const auto& [ending, command] : kCompressors) {
    const std::string file = compressed(ending, module);
    for (size_t i = 0; i < file.size(); ++i) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
      if (compression_of(as_bytes(damaged)) == Compression::none) continue;
      const auto plain = plain_of(damaged);
      // Names and times in gzip's header are not part of what its checksum covers.
      EXPECT_TRUE(!plain || *plain == module) << ending << " " << i;
    }
  }
}

TEST(HostModules, HostWithoutModulesHasNoDependency) {
  const test::TempDir scratch;
  EXPECT_EQ(verdict(open_host_modules(scratch.path())->load_order("videodev")), "not_found/dependency-missing");
  EXPECT_EQ(verdict(open_host_modules(scratch / "none")->load_order("videodev")), "not_found/dependency-missing");
}

TEST(HostModules, AnAliasStandsForEveryModuleThatHasIt) {
  const test::TempDir root;
  const std::string folder = root / "lib/modules/1.0";
  for (const char* name : {"first", "second"}) {
    test::write_file(folder + "/kernel/" + name + ".ko",
                     test::tiny_module({.name = name, .depends = "shared", .info = {"alias=crypto-x"}}));
  }
  test::write_file(folder + "/kernel/shared.ko", test::tiny_module({.name = "shared"}));
  for (const char* list : {"modules.order", "modules.builtin"}) test::write_file(folder + "/" + list, "");
  const auto indexed = run_program({"depmod", "-b", root.path(), "1.0"});
  if (!indexed && indexed.error().code == Errc::not_found) GTEST_SKIP() << "there is no depmod on this machine";
  must(indexed);
  std::set<std::string> names;
  for (const HostModule& module : must(open_host_modules(folder)->load_order("crypto-x"))) names.insert(module.name);
  // What it depends on is known from symbols, of which these have none.
  EXPECT_EQ(names, (std::set<std::string>{"first", "second"}));
}

// In a circle, and one that is not there.
TEST(HostModules, SoftDependenciesAreAWish) {
  const test::TempDir root;
  const std::string folder = root / "lib/modules/1.0";
  test::write_file(folder + "/kernel/upper.ko",
                   test::tiny_module({.name = "upper", .info = {"softdep=pre: lower none post: behind"}}));
  test::write_file(folder + "/kernel/lower.ko", test::tiny_module({.name = "lower", .info = {"softdep=pre: upper"}}));
  test::write_file(folder + "/kernel/behind.ko", test::tiny_module({.name = "behind"}));
  for (const char* list : {"modules.order", "modules.builtin"}) test::write_file(folder + "/" + list, "");
  const auto indexed = run_program({"depmod", "-b", root.path(), "1.0"});
  if (!indexed && indexed.error().code == Errc::not_found) GTEST_SKIP() << "there is no depmod on this machine";
  must(indexed);
  std::string order;
  for (const HostModule& module : must(open_host_modules(folder)->load_order("upper"))) {
    order += module.name + (module.is_soft ? "? " : " ");
  }
  EXPECT_EQ(order, "lower? upper behind? ");
}

}  // namespace
}  // namespace driverext
