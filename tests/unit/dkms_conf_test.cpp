// dkms.conf read as text, with bash as the judge of what a shell makes of it.
#include "kbuild/dkms_conf.hpp"

#include <gtest/gtest.h>

#include "kbuild/dkms_shell.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

const DkmsVariables kVariables = {"6.1.0-9-amd64", "/lib/modules/6.1.0-9-amd64/build", "x86_64", "/var/lib/dkms",
                                  "/usr/src"};
constexpr const char* kHead = "PACKAGE_NAME=cam\nPACKAGE_VERSION=1.2\n";

DkmsConf conf_of(const std::string& text) {
  DkmsReading reading = must(read_dkms_conf(kHead + text, kVariables));
  EXPECT_FALSE(reading.needs_shell) << reading.needs_shell->why;
  return reading.conf;
}

std::string text_error(const std::string& text) { return message(read_dkms_conf(kHead + text, kVariables)); }

// Element 0 of X as bash has it after reading the text.
std::string in_bash(const std::string& text) {
  const test::TempDir folder;
  test::write_file(folder / "text", text);
  return must(run_program(
      {"env", "-i", "bash", "--noprofile", "--norc", "-c", ". \"$1\"; printf %s \"$X\"", "bash", folder / "text"}));
}

TEST(ShellAssignments, MeanWhatBashMakesOfThem) {
  for (const std::string text : {
           R"(X=plain)",
           R"(X=)",
           "X= # nothing\n",
           R"(X='single $Y `z` \')",
           R"(X="double \" \\ \$ \` \a")",
           R"(X=con'cat'"ena"ted\ word)",
           "A=1\nX=$A${A}b\"$A\"'$A'",
           "A[3]=three\nX=${A[3]}",
           "A=zero\nX=${A[0]}$A[0]",
           "X=a\\\nb",
           "X=\"a\\\nb\"",
           "X='a\\\nb'",
           "X=\"line\nline\"",
           "X=a#b # c",
           "  # comment with 'quote\n\tX=1",
           "X=1;X=2 ; X=3;",
           "A=1 X=$A B=3",
           "X=1\nX=2",
           "X[0]=1",
           R"(X="a$ b$")",
           R"(X=$)",
           R"(X=a*b?c{d,e}[f]!g%h=i)",
           R"(X="~:~")",
           R"(X=a~)",
           R"(X="")",
           "X=\xc3\xa9",
           "X=1 \\\n  A=2",
           "X=x\\y",
           "X=a\tA=b",
       }) {
    const Assignments read = must(read_assignments(text, {}));
    EXPECT_FALSE(read.needs_shell) << text << ": " << read.needs_shell->why;
    EXPECT_EQ(plain_value(read.values, "X"), in_bash(text)) << text;
  }
}

TEST(ShellAssignments, WhatIsMoreThanAnAssignmentNeedsAShell) {
  for (const std::string text : {
           "if [ -e x ]; then X=1; fi",
           "X=$(uname -r)",
           "X=`uname -r`",
           "X=\"`uname -r`\"",
           "X=\"$(uname -r)\"",
           "X=$((1+1))",
           "X=${Y:-default}",
           "A=1\nX=${A%1}",
           "A=1\nX=${#A}",
           "A=1\nX=${!A}",
           "X=(a b)",
           "X+=more",
           "X[$i]=1",
           "X[01]=1",
           "X[i++]=1",
           "X=1 command",
           "X=1 | cat",
           "X=1 && X=2",
           "X=1&",
           "X=a>b",
           ". ./other",
           "export X=1",
           "X=$'a'",
           "X=$\"a\"",
           "X=$1",
           "X=\"$?\"",
           "X=~/a",
           "X=a:~",
           "X = 1",
           "X",
           "{ X=1; }",
           "function f() { :; }",
           "X=$not_assigned",
           "A[1]=1\nX=$A",
           ";",
       }) {
    const Assignments read = must(read_assignments(text, {}));
    EXPECT_TRUE(read.needs_shell) << text;
  }
}

TEST(ShellAssignments, LineThatNeedsAShellIsNamed) {
  const Assignments read = must(read_assignments("A=1\n# x\nB='\n'\nX=$(date)\n", {}));
  ASSERT_TRUE(read.needs_shell);
  EXPECT_EQ(read.needs_shell->line, 5U);
  EXPECT_NE(read.needs_shell->why.find("$("), std::string::npos);
}

TEST(ShellAssignments, WhatNoShellCouldReadIsAnError) {
  for (const std::string& text :
       {std::string("X='a"), std::string("X=\"a"), std::string("X=\"a\\"), std::string("X=a\\"), std::string("X=a\r\n"),
        std::string("X=a\0b", 5), std::string("X='\0'", 5)}) {
    EXPECT_EQ(verdict(read_assignments(text, {})), "invalid_input") << text;
  }
  EXPECT_NE(message(read_assignments("A=1\nX='", {})).find("line 2"), std::string::npos);
}

TEST(ShellAssignments, AreBounded) {
  const auto refused = [](const std::string& text) { EXPECT_EQ(verdict(read_assignments(text, {})), "invalid_input"); };
  refused(std::string(kMaxShellText + 1, '\n'));
  refused("X=" + std::string(kMaxShellValue + 1, 'a'));
  refused("X[512]=a");
  refused("X[99999999999999999999]=a");
  std::string many;
  for (size_t i = 0; i <= kMaxShellAssignments; ++i) many += "X=\n";
  refused(many);
  // Each line doubles it.
  std::string doubling = "X=aaaaaaaaaaaaaaaa\n";
  for (int i = 0; i < 64; ++i) doubling += "X=$X$X\n";
  refused(doubling);
  // No single value is long, all together are.
  std::string wide = "A=" + std::string(60000, 'a') + "\n";
  for (int i = 0; i < 64; ++i) wide += "X[" + std::to_string(i) + "]=$A\n";
  refused(wide);
}

TEST(DkmsConf, EverySettingIsRead) {
  const DkmsConf conf = conf_of(R"(
MAKE="make KVER=$kernelver"
MAKE[1]='make old'
MAKE_MATCH[1]="^2\.6"
CLEAN="make clean"
BUILT_MODULE_NAME[0]=one
BUILT_MODULE_LOCATION[0]=./src//mod/
DEST_MODULE_NAME[0]=uno
DEST_MODULE_LOCATION[0]=/extra
BUILT_MODULE_NAME[1]=two
STRIP[1]=no
PATCH[0]=all.patch
PATCH[1]=sub/some.patch
PATCH_MATCH[1]=^6
BUILD_EXCLUSIVE_KERNEL='^6\.'
BUILD_EXCLUSIVE_KERNEL_MIN=5.10
BUILD_EXCLUSIVE_KERNEL_MAX=6.99
BUILD_EXCLUSIVE_ARCH=x86_64
BUILD_EXCLUSIVE_CONFIG="CONFIG_PCI  !CONFIG_EMBEDDED"
PRE_BUILD="configure --quick"
POST_BUILD=after
AUTOINSTALL="yes"
REMAKE_INITRD=no
NO_WEAK_MODULES=yes
OBSOLETE_BY=6.5
)");
  EXPECT_EQ(conf.package_name, "cam");
  EXPECT_EQ(conf.package_version, "1.2");
  ASSERT_EQ(conf.make.size(), 2U);
  EXPECT_EQ(conf.make[0].value, "make KVER=6.1.0-9-amd64");
  EXPECT_EQ(conf.make[1].match, "^2\\.6");
  EXPECT_EQ(conf.clean, "make clean");
  ASSERT_EQ(conf.modules.size(), 2U);
  EXPECT_EQ(conf.modules[0].built_location, "src/mod/");
  EXPECT_EQ(conf.modules[0].name, "uno");
  EXPECT_EQ(conf.modules[0].location, "/extra");
  EXPECT_EQ(conf.modules[0].strip, Strip::yes);
  EXPECT_EQ(conf.modules[1].built_location, "");
  EXPECT_EQ(conf.modules[1].name, "two");
  EXPECT_EQ(conf.modules[1].strip, Strip::no);
  ASSERT_EQ(conf.patches.size(), 2U);
  EXPECT_EQ(conf.patches[0].match, "");
  EXPECT_EQ(conf.patches[1].value, "sub/some.patch");
  EXPECT_EQ(conf.exclusive.kernel, "^6\\.");
  EXPECT_EQ(conf.exclusive.kernel_min, "5.10");
  EXPECT_EQ(conf.exclusive.kernel_max, "6.99");
  EXPECT_EQ(conf.exclusive.arch, "x86_64");
  EXPECT_EQ(conf.exclusive.config, (std::vector<std::string>{"CONFIG_PCI", "!CONFIG_EMBEDDED"}));
  EXPECT_EQ(conf.pre_build, "configure --quick");
  EXPECT_EQ(conf.post_build, "after");
  EXPECT_EQ(conf.autoinstall, "yes");
  EXPECT_EQ(conf.remake_initrd, "no");
  EXPECT_EQ(conf.no_weak_modules, "yes");
  EXPECT_EQ(conf.obsolete_by, "6.5");
}

TEST(DkmsConf, DocumentedVariablesHaveTheirValues) {
  const DkmsConf conf =
      conf_of("MAKE=\"$kernelver|${kernel_source_dir}|$arch|$dkms_tree|$source_tree|$module|${module_version}\"\n");
  EXPECT_EQ(conf.make[0].value, "6.1.0-9-amd64|/lib/modules/6.1.0-9-amd64/build|x86_64|/var/lib/dkms|/usr/src|cam|1.2");
}

TEST(DkmsConf, WithoutBuiltModuleNameTheOnlyModuleIsCalledAsThePackage) {
  EXPECT_EQ(conf_of("DEST_MODULE_LOCATION=/extra\n").modules.at(0).built_name, "cam");
  EXPECT_NE(text_error("DEST_MODULE_LOCATION[0]=/extra\nDEST_MODULE_LOCATION[1]=/extra\n").find("BUILT_MODULE_NAME[0]"),
            std::string::npos);
}

TEST(DkmsConf, StripOfTheFirstModuleIsThatOfAllThatSayNothing) {
  const DkmsConf conf =
      conf_of("BUILT_MODULE_NAME[0]=a\nBUILT_MODULE_NAME[1]=b\nBUILT_MODULE_NAME[2]=c\nSTRIP=No\nSTRIP[2]=yes\n");
  EXPECT_EQ(conf.modules[1].strip, Strip::no);
  EXPECT_EQ(conf.modules[2].strip, Strip::yes);
}

TEST(DkmsConf, NamesAndPlacesStayInsideTheTree) {
  for (const char* line : {"BUILT_MODULE_NAME=../x", "BUILT_MODULE_NAME=a/b", "BUILT_MODULE_LOCATION=../x",
                           "BUILT_MODULE_LOCATION=/etc", "BUILT_MODULE_LOCATION=a/../../b", "DEST_MODULE_NAME=../x",
                           "PATCH=../../etc/passwd", "PATCH=/etc/passwd", "PACKAGE_NAME=../x", "PACKAGE_VERSION=1/2",
                           "PACKAGE_NAME=", "BUILT_MODULE_NAME=\"a b\"", "PRE_BUILD=$'\\x01'", "CLEAN='\x01'"}) {
    const auto reading = read_dkms_conf(std::string(kHead) + line + "\n", kVariables);
    EXPECT_TRUE(!reading || reading->needs_shell) << line;
  }
}

TEST(DkmsConf, TwoModulesOfOneNameAreAnError) {
  EXPECT_NE(text_error("BUILT_MODULE_NAME[0]=a-b\nBUILT_MODULE_NAME[1]=a_b\n").find("two modules"), std::string::npos);
}

TEST(DkmsConf, ExclusionsOfSingleModulesAreNotPassedOver) {
  for (const std::string setting : {"KERNEL", "KERNEL_MIN", "KERNEL_MAX", "ARCH", "CONFIG"}) {
    const auto read = read_dkms_conf(std::string(kHead) + "BUILD_EXCLUSIVE_" + setting + "[1]=x\n", kVariables);
    EXPECT_EQ(verdict(read), "unsupported") << setting;
    EXPECT_NE(message(read).find("BUILD_EXCLUSIVE_" + setting + "[1]"), std::string::npos) << message(read);
  }
}

TEST(ShellReply, IsReadStrictly) {
  using namespace std::string_literals;
  const ShellArrays values =
      must(parse_shell_reply("MAKE\0"
                             "0\0make\nall\0MAKE\0"
                             "7\0\0end\0"s));
  EXPECT_EQ(values.at("MAKE").at(0), "make\nall");
  EXPECT_EQ(values.at("MAKE").at(7), "");
  EXPECT_TRUE(must(parse_shell_reply("end\0"s)).empty());
  for (const std::string& reply : {""s, "end"s, "\0"s,
                                   "MAKE\0"
                                   "0\0a\0"s,
                                   "MAKE\0"
                                   "0\0a\0end"s,
                                   "MAKE\0"
                                   "0\0end\0"s,
                                   "OTHER\0"
                                   "0\0a\0end\0"s,
                                   "MAKE\0x\0a\0end\0"s, "MAKE\0-1\0a\0end\0"s,
                                   "MAKE\0"
                                   "512\0a\0end\0"s,
                                   "MAKE\0\0a\0end\0"s,
                                   "MAKE\0"
                                   "0\0a\0MAKE\0"
                                   "0\0b\0end\0"s,
                                   "end\0MAKE\0"
                                   "0\0a\0"s,
                                   "end\0x"s,
                                   "MAKE\0"
                                   "0\0"s +
                                       std::string(kMaxShellValue + 1, 'a') + "\0end\0"s}) {
    EXPECT_EQ(verdict(parse_shell_reply(reply)), "invalid_input") << reply.substr(0, 80);
  }
}

}  // namespace
}  // namespace driverext
