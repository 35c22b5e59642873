// What goes into an image: modules and what they say, trees, definitions.
#include "acquire/pack.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/digest.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::tiny_module;
using test::verdict;
using test::write_file;

class Pack : public ::testing::Test {
 protected:
  Pack() {
    ::unsetenv("SOURCE_DATE_EPOCH");
    input_.manifest = {"testcam", "1.0", "", "", "debian", "13", ""};
    input_.output = scratch_ / "x.raw";
  }
  void add_module(const std::string& file, const test::TinyModule& module = {}) {
    input_.modules = scratch_ / "modules";
    write_file(input_.modules + "/" + file, tiny_module(module));
  }
  void add_to_tree(const std::string& file, const std::string& content = "x") {
    input_.tree = scratch_ / "tree";
    write_file(input_.tree + "/" + file, content);
  }
  void compress(const std::vector<std::string>& command, const std::string& file) {
    std::vector<std::string> words = command;
    words.push_back(input_.modules + "/" + file);
    must(run_program(words));
  }
  Manifest manifest() { return must(collect_image(input_)).request.manifest; }
  [[nodiscard]] std::vector<std::string> left_beside_output() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(scratch_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("x.raw")) names.push_back(name);
    }
    return names;
  }

  test::TempDir scratch_;
  PackInput input_;
};

TEST_F(Pack, ManifestHasWhatTheModulesSay) {
  add_module("testcam.ko", {.depends = "test-core",
                            .info = {"version=1.2", "srcversion=AB12", "alias=pci:v1*", "firmware=cam/a.bin",
                                     "softdep=pre: first post: last", "parm=debug:how much", "parmtype=debug:int"},
                            .versions = {{"module_layout", 0x12}, {"kfree", 7}},
                            .comment = std::string("GCC: B\0GCC: B\0", 14)});
  add_module("test-core.ko", {.name = "test_core", .build_id = "other", .comment = std::string("GCC: A\0", 7)});
  const Manifest made = manifest();
  EXPECT_EQ(made.kernel_release, "6.12.1-test");
  EXPECT_EQ(made.vermagic, "6.12.1-test SMP preempt mod_unload modversions");
  EXPECT_EQ(made.architecture, "x86-64");
  EXPECT_EQ(made.license, "GPL");
  EXPECT_EQ(made.toolchain, "GCC: A; GCC: B");
  ASSERT_EQ(made.modules.size(), 2U);
  EXPECT_EQ(made.modules[0].name, "test_core");
  const ModuleRecord& record = made.modules[1];
  EXPECT_EQ(record.path, "usr/lib/modules/6.12.1-test/driverext/testcam/testcam.ko");
  EXPECT_EQ(record.version, "1.2");
  EXPECT_EQ(record.srcversion, "AB12");
  EXPECT_EQ(record.depends, std::vector<std::string>{"test_core"});
  EXPECT_EQ(record.softdeps_pre, std::vector<std::string>{"first"});
  EXPECT_EQ(record.softdeps_post, std::vector<std::string>{"last"});
  EXPECT_EQ(record.aliases, std::vector<std::string>{"pci:v1*"});
  EXPECT_EQ(record.firmware, std::vector<std::string>{"cam/a.bin"});
  ASSERT_EQ(record.parameters.size(), 1U);
  EXPECT_EQ(record.parameters[0].type, "int");
  EXPECT_EQ(record.imports, (std::map<std::string, uint32_t>{{"kfree", 7}, {"module_layout", 0x12}}));
}

TEST_F(Pack, WhatAModuleSaysIsMadePrintable) {
  add_module("testcam.ko",
             {.license = "GPL \xff", .info = {"version=\x1b[31m", "parm=a:first\n\tsecond", "alias=\xc3\xbc*"}});
  const Manifest made = manifest();
  EXPECT_EQ(made.license, "GPL \\xff");
  EXPECT_EQ(made.modules[0].version, "\\x1b[31m");
  EXPECT_EQ(made.modules[0].parameters[0].description, "first  second");
  EXPECT_EQ(made.modules[0].aliases[0], "\\xc3\\xbc*");
}

TEST_F(Pack, LongTextIsCutButNeverAnAlias) {
  add_module("testcam.ko", {.info = {"version=" + std::string(300, 'v'), "parm=a:" + std::string(2000, 'd')}});
  EXPECT_EQ(manifest().modules[0].version, std::string(253, 'v') + "...");
  EXPECT_EQ(manifest().modules[0].parameters[0].description.size(), 1024U);
  add_module("testcam.ko", {.info = {"alias=" + std::string(2000, 'a')}});
  EXPECT_EQ(verdict(collect_image(input_)), "invalid_input");
}

TEST_F(Pack, CompressedModulesGoIntoTheImagePlain) {
  const std::string plain = tiny_module({});
  add_module("testcam.ko");
  add_module("testcore.ko", {.name = "testcore", .build_id = "b"});
  add_module("testsound.ko", {.name = "testsound", .build_id = "c"});
  const std::string manifest_of_plain = format_manifest(manifest());
  compress({"xz"}, "testcam.ko");
  compress({"zstd", "-q", "--rm"}, "testcore.ko");
  compress({"gzip"}, "testsound.ko");
  ::setenv("SOURCE_DATE_EPOCH", std::to_string(manifest().created).c_str(), 1);
  {
    const PackResult packed = must(collect_image(input_));
    Manifest made = packed.request.manifest;
    made.created = must(parse_manifest(manifest_of_plain)).created;
    EXPECT_EQ(format_manifest(made), manifest_of_plain);
    ASSERT_EQ(packed.request.files.size(), 3U);
    EXPECT_EQ(test::read_whole(packed.request.files[0].source), plain);
    EXPECT_EQ(packed.request.files[0].path_in_image, made.modules[0].path);
    EXPECT_EQ(made.modules[0].sha256, to_hex(sha256(as_bytes(plain))));
    EXPECT_EQ(made.modules[0].size, plain.size());
    EXPECT_EQ(left_beside_output().size(), 1U);
  }
  EXPECT_TRUE(left_beside_output().empty());
  ::unsetenv("SOURCE_DATE_EPOCH");
}

TEST_F(Pack, FailureLeavesNoScratchFolder) {
  add_module("testcam.ko");
  add_module("other.ko", {.name = "other", .vermagic = "6.6.6 SMP", .build_id = "b"});
  compress({"xz"}, "testcam.ko");
  const auto refused = collect_image(input_);
  EXPECT_NE(message(refused).find("for one kernel"), std::string::npos) << message(refused);
  write_file(input_.modules + "/damaged.ko.xz", std::string("\xfd"
                                                            "7zXZ\0damaged",
                                                            13));
  EXPECT_EQ(verdict(collect_image(input_)), "invalid_input");
  EXPECT_TRUE(left_beside_output().empty());
}

TEST_F(Pack, SameModuleTwiceIsRefused) {
  add_module("testcam.ko");
  add_module("testcam.ko.xz");
  EXPECT_NE(message(collect_image(input_)).find("both become testcam.ko"), std::string::npos);
  std::filesystem::remove(input_.modules + "/testcam.ko.xz");
  add_module("again.ko");
  EXPECT_NE(message(collect_image(input_)).find("there twice"), std::string::npos);
}

TEST_F(Pack, ModulesThatNeedEachOtherInACircleAreRefused) {
  add_module("a.ko", {.name = "a", .depends = "b"});
  add_module("b.ko", {.name = "b", .depends = "a", .build_id = "b"});
  EXPECT_NE(message(collect_image(input_)).find("circle"), std::string::npos);
}

TEST_F(Pack, FolderWithoutModulesIsNamed) {
  input_.modules = scratch_ / "modules";
  write_file(input_.modules + "/readme.txt", "x");
  EXPECT_EQ(verdict(collect_image(input_)), "not_found");
}

TEST_F(Pack, ModuleWithoutBuildIdIsRefused) {
  add_module("testcam.ko", {.build_id = ""});
  EXPECT_NE(message(collect_image(input_)).find("--build-id"), std::string::npos);
}

TEST_F(Pack, UserlandIsATreeForEveryKernel) {
  input_.kind = Kind::userland;
  add_to_tree("usr/lib/libcam.so.1.0");
  const PackResult packed = must(collect_image(input_));
  EXPECT_EQ(packed.request.manifest.kind, Kind::userland);
  EXPECT_EQ(packed.request.manifest.kernel_release, "");
  ASSERT_EQ(packed.request.trees.size(), 1U);
  EXPECT_EQ(packed.request.trees[0].path_in_image, "");
  EXPECT_TRUE(packed.request.files.empty());
}

TEST_F(Pack, OnlyModulesNameTheUserlandThatTheyBelongTo) {
  input_.manifest.userland = "1.0";
  add_module("testcam.ko");
  EXPECT_EQ(manifest().userland, "1.0");
  input_.kind = Kind::userland;
  input_.modules.clear();
  add_to_tree("usr/bin/cam");
  EXPECT_EQ(manifest().userland, "");
}

TEST_F(Pack, MissingFirmwareIsAWarning) {
  input_.kind = Kind::complete;
  add_module("testcam.ko", {.info = {"firmware=cam/there.bin", "firmware=cam/packed.bin", "firmware=cam/gsp_*.bin",
                                     "firmware=cam/gone.bin", "firmware=other/*.bin"}});
  for (const char* name : {"there.bin", "packed.bin.zst", "gsp_10.bin"}) {
    add_to_tree(std::string("usr/lib/firmware/cam/") + name);
  }
  const PackResult packed = must(collect_image(input_));
  ASSERT_EQ(packed.warnings.size(), 2U);
  EXPECT_NE(packed.warnings[0].find("testcam asks for firmware cam/gone.bin"), std::string::npos) << packed.warnings[0];
  EXPECT_NE(packed.warnings[1].find("other/*.bin"), std::string::npos) << packed.warnings[1];
}

TEST_F(Pack, FirmwareOfModulesAloneIsTheUserlandsMatter) {
  add_module("testcam.ko", {.info = {"firmware=cam/gone.bin"}});
  EXPECT_TRUE(must(collect_image(input_)).warnings.empty());
}

TEST_F(Pack, DefinitionIsCheckedAndGoesIntoTheImage) {
  add_module("testcam.ko");
  input_.definition = scratch_ / "cam.toml";
  const std::string text = "name = \"testcam\"\n[[module]]\nname = \"testcam\"\n";
  write_file(input_.definition, text);
  const PackResult packed = must(collect_image(input_));
  ASSERT_EQ(packed.request.files.size(), 2U);
  EXPECT_EQ(packed.request.files[1].path_in_image, "usr/lib/driverext/drivers/testcam.toml");
  EXPECT_EQ(packed.request.files[1].text, text);

  write_file(input_.definition, "name = \"other\"\n[[module]]\nname = \"testcam\"\n");
  EXPECT_EQ(verdict(collect_image(input_)), "invalid_input/config-invalid");
  write_file(input_.definition, "name = \"testcam\"\nunknown = 1\n");
  EXPECT_NE(message(collect_image(input_)).find("cam.toml:2"), std::string::npos) << message(collect_image(input_));
  input_.definition = scratch_ / "none.toml";
  EXPECT_EQ(verdict(collect_image(input_)), "not_found");
}

TEST_F(Pack, SourcesCarryNoDefinition) {
  input_.kind = Kind::source;
  add_to_tree("Makefile");
  input_.definition = scratch_ / "cam.toml";
  write_file(input_.definition, "name = \"testcam\"\n[[module]]\nname = \"testcam\"\n");
  EXPECT_EQ(verdict(collect_image(input_)), "invalid_input");
}

TEST_F(Pack, SourceDigestIsRecorded) {
  add_module("testcam.ko");
  input_.source_digest = std::string(64, 'a');
  EXPECT_EQ(manifest().source_sha256, input_.source_digest);
  input_.source_digest = "not a digest";
  EXPECT_EQ(verdict(collect_image(input_)), "invalid_input");
}

TEST_F(Pack, CreationTimeIsOfTheNewestFileOrAsToldByTheEnvironment) {
  add_module("testcam.ko");
  input_.definition = scratch_ / "cam.toml";
  write_file(input_.definition, "name = \"testcam\"\n[[module]]\nname = \"testcam\"\n");
  const auto set_time = [](const std::string& file, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  };
  set_time(input_.modules + "/testcam.ko", 1'600'000'000);
  set_time(input_.definition, 1'500'000'000);
  EXPECT_EQ(manifest().created, 1'600'000'000U);
  set_time(input_.definition, 1'650'000'000);
  EXPECT_EQ(manifest().created, 1'650'000'000U);
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  EXPECT_EQ(manifest().created, 1'700'000'000U);
  ::unsetenv("SOURCE_DATE_EPOCH");
}

TEST_F(Pack, ManifestThatDoesNotFitSaysWhatToDo) {
  test::TinyModule module;
  for (int i = 0; i < 1000; ++i) module.info.push_back("alias=" + std::string(1000, 'a'));
  for (const char* name : {"a", "b", "c"}) {
    module.name = name;
    module.build_id = name;
    add_module(std::string(name) + ".ko", module);
  }
  EXPECT_NE(message(collect_image(input_)).find("several images"), std::string::npos) << message(collect_image(input_));
}

}  // namespace
}  // namespace driverext
