#include "base/text.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;

TEST(Text, NameIsFitForOnePathComponent) {
  for (const char* name : {"a", "v4l2loopback", "6.12.107+deb13-amd64", "450.102.04", "x_y~z", "a..b", "-"}) {
    EXPECT_TRUE(check_name("name", name)) << name;
  }
  for (const std::string name : {"", ".", "..", ".hidden", "a/b", "a b", "a\nb", "a\\b", "é", "a\x7f", "$(x)"}) {
    EXPECT_FALSE(check_name("name", name)) << name;
  }
  EXPECT_FALSE(check_name("name", std::string_view("a\0b", 3)));
}

TEST(Text, NameHasAtMost128Characters) {
  EXPECT_TRUE(check_name("name", std::string(128, 'a')));
  EXPECT_FALSE(check_name("name", std::string(129, 'a')));
}

TEST(Text, NameErrorSaysWhatWasNamed) {
  const std::string text = message(check_name("driver", "a/b"));
  EXPECT_NE(text.find("driver \"a/b\""), std::string::npos) << text;
}

TEST(Text, RelativePathStaysInside) {
  EXPECT_TRUE(check_relative_path("path", "usr/lib/modules/6.1/x.ko"));
  for (const char* path : {"", "/", "/usr", "usr/", "a//b", "../a", "a/..", "a/../b", ".", "./a", "a/./b", "a/.b"}) {
    EXPECT_FALSE(check_relative_path("path", path)) << path;
  }
}

TEST(Text, RelativePathHasAtMost1024Bytes) {
  std::string path = "a";
  while (path.size() < 1023) path += "/a";
  EXPECT_TRUE(check_relative_path("path", path)) << path.size();
  EXPECT_FALSE(check_relative_path("path", path + "/a"));
}

TEST(Text, SplitKeepsEmptyFields) {
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
}

TEST(Text, TrimTakesSpaceFromBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, EnvValueReadsOsRelease) {
  const std::string text = "# ID=no\nID_LIKE=x\nID=flatcar\nVERSION_ID=\"4152.2.0\"\n NAME='A B'\nEMPTY=\nODD=\"x\n";
  EXPECT_EQ(env_value(text, "ID"), "flatcar");
  EXPECT_EQ(env_value(text, "VERSION_ID"), "4152.2.0");
  EXPECT_EQ(env_value(text, "NAME"), "A B");
  EXPECT_EQ(env_value(text, "EMPTY"), "");
  EXPECT_EQ(env_value(text, "ODD"), "\"x");
  EXPECT_EQ(env_value(text, "MISSING"), "");
}

TEST(Text, SizesArePutForPeople) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(human_size(UINT64_MAX), "16777216.0 TiB");
}

TEST(Text, PrintableTextCannotMoveTheCursorOrFakeALine) {
  EXPECT_EQ(printable("plain é → text"), "plain é → text");
  EXPECT_EQ(printable("a\nb"), "a b");
  EXPECT_EQ(printable("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Text, ModuleNamesHaveTheFormOfProcModules) { EXPECT_EQ(module_name_form("snd-hda-intel"), "snd_hda_intel"); }

}  // namespace
}  // namespace driverext
