// The kernel's command line: cases of next_arg() in its lib/cmdline.c.
#include "host/command_line.hpp"

#include <gtest/gtest.h>

namespace driverext {
namespace {

std::string words(std::string_view line) {
  std::string text;
  for (const std::string& word : command_line_words(line)) text += "[" + word + "]";
  return text;
}

TEST(CommandLine, BlanksSeparateWords) {
  EXPECT_EQ(words("quiet  root=/dev/vda\tro\n"), "[quiet][root=/dev/vda][ro]");
  EXPECT_EQ(words(""), "");
  EXPECT_EQ(words(" \n"), "");
}

TEST(CommandLine, BlanksInQuotesSeparateNone) {
  EXPECT_EQ(words("a.x=\"b c\" d"), "[a.x=\"b c\"][d]");
  EXPECT_EQ(words("a.x=b\" \"c d"), "[a.x=b\" \"c][d]");
}

// As GRUB writes it.
TEST(CommandLine, QuotesStandAroundAWholeWordToo) {
  EXPECT_EQ(words("\"a.x=b c\" d"), "[a.x=\"b c\"][d]");
  EXPECT_EQ(words("\"a.x=A=1; B=2\""), "[a.x=\"A=1; B=2\"]");
}

TEST(CommandLine, QuotesThatNothingNeedsAreLeftOut) {
  EXPECT_EQ(words("a=\"b\" \"c=d\" \"e\" f=\"\""), "[a=b][c=d][e][f=]");
}

TEST(CommandLine, WhatIsNotClosedGoesAsFarAsTheLineAndIsClosedThen) {
  EXPECT_EQ(words("x a.x=\"b c d"), "[x][a.x=\"b c d\"]");
  EXPECT_EQ(words("\"a.x=b c d"), "[a.x=\"b c d\"]");
  EXPECT_EQ(words("a.x=b\"c d"), "[a.x=b\"c d\"]");
  EXPECT_EQ(words("\""), "[]");
}

}  // namespace
}  // namespace driverext
