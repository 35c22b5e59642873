// Building modules, with a container that is played.
#include "kbuild/compile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "kbuild/builder.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakePrograms;
using test::message;
using test::must;
using test::TempDir;
using test::verdict;

TEST(FirstCompilerError, IsTheFirstNotTheLast) {
  EXPECT_EQ(first_compiler_error("  CC [M]  /w/a.o\n"
                                 "/w/a.c:3:5: warning: unused variable 'i'\n"
                                 "/w/a.c:7:1: error: unknown type name 'foo'\n"
                                 "/w/b.c:9:1: error: and another\n"
                                 "make[2]: *** [scripts/Makefile.build:244: /w/a.o] Error 1\n"
                                 "make: *** [Makefile:234: __sub-make] Error 2\n"),
            "/w/a.c:7:1: error: unknown type name 'foo'");
}

TEST(FirstCompilerError, MissingHeaderIsFatalAndIsNamed) {
  EXPECT_EQ(first_compiler_error("In file included from /w/a.c:1:\n"
                                 "/w/a.h:1:10: fatal error: linux/nothing.h: No such file or directory\n"
                                 "compilation terminated.\n"),
            "/w/a.h:1:10: fatal error: linux/nothing.h: No such file or directory");
}

TEST(FirstCompilerError, MissingSymbolIsNamed) {
  EXPECT_EQ(first_compiler_error("  MODPOST /w/Module.symvers\n"
                                 "ERROR: modpost: \"no_such_symbol\" [/w/x.ko] undefined!\n"
                                 "make[1]: *** [scripts/Makefile.modpost:145: /w/Module.symvers] Error 1\n"),
            "ERROR: modpost: \"no_such_symbol\" [/w/x.ko] undefined!");
}

TEST(FirstCompilerError, WithoutACompilersWordMakesFirstCounts) {
  EXPECT_EQ(first_compiler_error("make[1]: *** No rule to make target 'x.c', needed by 'x.o'.  Stop.\n"
                                 "make: *** [Makefile:1] Error 2\n"),
            "make[1]: *** No rule to make target 'x.c', needed by 'x.o'.  Stop.");
}

TEST(FirstCompilerError, NothingWrongIsNothing) {
  EXPECT_EQ(first_compiler_error(""), "");
  EXPECT_EQ(first_compiler_error("  CC [M]  /w/error.o\n/w/a.c:1:1: warning: no error, but a warning\n"), "");
}

class Compile : public ::testing::Test {
 protected:
  Compile() {
    test::write_file(scratch_ / "source/Makefile", "obj-m := x.o");
    test::write_file(scratch_ / "source/src/x.c", "int i;");
    must(scratch_.dir().make_dirs("work", 0700));
    request_.kernel_release = test::kSampleKernel;
    request_.builder = scratch_ / "builder";
    request_.source = scratch_ / "source";
    request_.work = scratch_ / "work";
    request_.progress = [this](const std::string& what) { told_.push_back(what); };
    programs_.answer = [this](const ProgramRequest& request) -> Result<std::string> {
      request.on_output(output_);
      for (const std::string& file : made_) test::write_file(scratch_ / ("work/source/" + file), file);
      if (failed_) return make_error(Errc::system, "systemd-nspawn exited with status 2");
      return output_;
    };
  }
  TempDir scratch_;
  FakePrograms programs_;
  CompileRequest request_;
  std::vector<std::string> told_;
  std::string output_;
  std::vector<std::string> made_;
  bool failed_ = false;
};

TEST_F(Compile, ModulesAreCollectedFromWhereverTheyWereMade) {
  made_ = {"a.ko", "deep/down/b.ko", "a.o", "c.ko.tmp"};
  must(compile_modules(programs_, request_));
  EXPECT_EQ(must(scratch_.dir().list("work/modules")), (std::vector<std::string>{"a.ko", "b.ko"}));
}

TEST_F(Compile, SourceItselfStaysAsItIs) {
  made_ = {"a.ko"};
  const auto before = test::listing(scratch_ / "source");
  must(compile_modules(programs_, request_));
  EXPECT_EQ(test::listing(scratch_ / "source"), before);
}

TEST_F(Compile, ContainerHasNoNetworkNoPowersAndItsRootStaysAsItWasSigned) {
  made_ = {"a.ko"};
  must(compile_modules(programs_, request_));
  const std::vector<std::string>& argv = programs_.requests.at(0).argv;
  for (const std::string& option :
       {std::string("--private-network"), std::string("--drop-capability=all"), std::string("--no-new-privileges=yes"),
        std::string("--read-only"), "--directory=" + scratch_ / "builder",
        "--bind=" + scratch_ / "work/source" + ":" + kBuildPlace}) {
    EXPECT_NE(std::find(argv.begin(), argv.end(), option), argv.end()) << option;
  }
  EXPECT_EQ(argv.front(), "systemd-nspawn");
  EXPECT_EQ(std::count_if(argv.begin(), argv.end(), [](const std::string& word) { return word.starts_with("--bind"); }),
            1);
  EXPECT_GT(programs_.requests[0].timeout_sec, 0U);
  EXPECT_EQ(argv[argv.size() - 3], test::kSampleKernel);  // never part of the script's own text
}

TEST_F(Compile, DebuggingInformationIsMadeIfChecksumsOfSymbolsAreMadeFromIt) {
  made_ = {"a.ko"};
  const std::string config =
      scratch_ / (std::string("builder/usr/lib/modules/") + test::kSampleKernel + "/build/.config");
  for (const auto& [text, flags] :
       {std::pair("CONFIG_MODVERSIONS=y\n", "-g0"), std::pair("CONFIG_GENDWARFKSYMS=y\n", "")}) {
    test::write_file(config, text);
    std::filesystem::remove_all(scratch_ / "work");
    must(scratch_.dir().make_dirs("work", 0700));
    must(compile_modules(programs_, request_));
    EXPECT_EQ(programs_.requests.back().argv.back(), flags) << text;
  }
}

TEST_F(Compile, ProgressNamesWhatIsBeingDone) {
  made_ = {"a.ko"};
  output_ = "make: Entering directory\n  CC [M]  /w/source/a.o\n  LD [M]  a.ko\n";  // the first as Linux < 6.13 says it
  must(compile_modules(programs_, request_));
  EXPECT_EQ(told_, (std::vector<std::string>{"CC a.o (step 1)", "LD a.ko (step 2)"}));
}

TEST_F(Compile, FailureIsTheFirstErrorAndTheLogIsThere) {
  failed_ = true;
  output_ = "  CC [M]  /w/a.o\n/w/a.c:1:1: error: no such type\nmake: *** Error 2\n";
  const auto compiled = compile_modules(programs_, request_);
  EXPECT_EQ(verdict(compiled), "invalid_input/build-failed");
  EXPECT_EQ(message(compiled), "/w/a.c:1:1: error: no such type");
  EXPECT_EQ(test::read_whole(scratch_ / (std::string("work") + kCompileLog)), output_);
}

TEST_F(Compile, ContainerThatSaysNothingIsNamedItself) {
  failed_ = true;
  EXPECT_NE(message(compile_modules(programs_, request_)).find("systemd-nspawn"), std::string::npos);
}

TEST_F(Compile, BuildThatMakesNoModuleFailed) {
  EXPECT_EQ(verdict(compile_modules(programs_, request_)), "invalid_input/build-failed");
}

// Two of one name would hide each other.
TEST_F(Compile, LinkToAModuleIsNoModule) {
  made_ = {"a.o"};
  programs_.answer = [this](const ProgramRequest&) {
    must(scratch_.dir().make_link("/etc/passwd", "work/source/evil.ko"));
    return Result<std::string>(std::string());
  };
  EXPECT_EQ(verdict(compile_modules(programs_, request_)), "invalid_input/build-failed");
}

// What else is true of the file was the container's choice.
TEST_F(Compile, ModulesAreFilesOfOurOwn) {
  programs_.answer = [this](const ProgramRequest&) {
    test::write_file(scratch_ / "work/source/deep/a.ko", "a module", 04755);
    must(scratch_.dir().make_link("/etc", "work/source/elsewhere"));
    return Result<std::string>(std::string());
  };
  must(compile_modules(programs_, request_));
  EXPECT_EQ(must(scratch_.dir().list("work/modules")), std::vector<std::string>{"a.ko"});
  EXPECT_EQ(must(scratch_.dir().status("work/modules/a.ko"))->st_mode & 07777U, 0644U);
}

}  // namespace
}  // namespace driverext
