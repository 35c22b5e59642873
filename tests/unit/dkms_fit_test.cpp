// Which kernel a driver is for, and what of its dkms.conf.
#include "kbuild/dkms_fit.hpp"

#include <gtest/gtest.h>
#include <regex.h>

#include <random>
#include <string_view>

#include "kbuild/pattern.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

// What the C library's own matcher says.
std::string theirs(const std::string& pattern, const std::string& text) {
  regex_t compiled{};
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return "broken";
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found ? "yes" : "no";
}

std::string ours(const std::string& pattern, const std::string& text) {
  const Result<bool> found = matches_pattern(pattern, text);
  return !found ? "broken" : *found ? "yes" : "no";
}

TEST(MatchesPattern, IsBashsOwnKindOfExpression) {
  EXPECT_TRUE(must(matches_pattern("^(5\\.1[0-9]|6)\\.", "6.1.0-9-amd64")));
  EXPECT_FALSE(must(matches_pattern("^(5\\.1[0-9]|6)\\.", "5.9.1")));
  EXPECT_TRUE(must(matches_pattern("amd64", "6.1.0-9-amd64")));
  EXPECT_TRUE(must(matches_pattern("", "anything")));
}

TEST(MatchesPattern, PatternsInUseMeanWhatTheyMeanToTheCLibrary) {
  for (const char* pattern : {"^(5\\.[0-9]+|6\\.[0-9]+)",
                              "^(2\\.6\\.(3[0-9])|[3-9]\\.)",
                              "x86_64|aarch64",
                              "^(i.86|x86_64)$",
                              ".*",
                              "^6",
                              "^([0-9]+\\.)+",
                              "(-cloud)?-amd64$",
                              "^[5-9]\\.|^[1-9][0-9]\\.",
                              "[^.0-9]",
                              "[]a-]$",
                              "^[[:digit:]]+[.][[:digit:]]",
                              "(amd64|rt)*$",
                              "^()6",
                              "6|",
                              "|5",
                              "(a|b",
                              "[a",
                              "*a",
                              "a|*b",
                              "(*a)",
                              "a\\",
                              "[z-a]",
                              "^*",
                              "a**"}) {
    for (const char* text :
         {"6.1.0-9-amd64", "5.10.0-28-cloud-amd64", "2.6.32", "x86_64", "i686", "", "6.12.1+deb13-rt-a"}) {
      EXPECT_EQ(ours(pattern, text), theirs(pattern, text)) << pattern << " on " << text;
    }
  }
}

TEST(MatchesPattern, SmallPatternsAgreeWithTheCLibrary) {
  constexpr std::string_view kLetters = "aab..|()()[]^$*+?-";
  std::minstd_rand random(1);
  const auto word = [&](std::string_view letters, size_t most) {
    std::string text;
    for (size_t left = random() % (most + 1); left > 0; --left) text += letters[random() % letters.size()];
    return text;
  };
  size_t compared = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string pattern = word(kLetters, 8);
    const std::string text = word("abc-", 5);
    if (ours(pattern, text) == "broken") continue;  // it may refuse more
    ++compared;
    ASSERT_EQ(ours(pattern, text), theirs(pattern, text)) << pattern << " on " << text;
  }
  EXPECT_GT(compared, 10'000U);
}

TEST(MatchesPattern, WhatTakesForEverIsRefused) {
  EXPECT_EQ(verdict(matches_pattern("(((a{1,255}){1,255}){1,255}){1,255}", "a")), "invalid_input");
  EXPECT_EQ(verdict(matches_pattern("(a*)*\\1", "a")), "invalid_input");
  EXPECT_EQ(verdict(matches_pattern(std::string(513, 'a'), "a")), "invalid_input");
  EXPECT_EQ(verdict(matches_pattern("(a", "a")), "invalid_input");
  EXPECT_EQ(verdict(matches_pattern("a\\<b", "a")), "invalid_input");
}

// Each repetition would double what the C library needs.
TEST(MatchesPattern, RepeatedRepetitionsCostNothing) {
  EXPECT_TRUE(must(matches_pattern("a" + std::string(511, '+'), std::string(200, 'a'))));
  std::string nested = std::string(160, '(') + "a";
  for (int i = 0; i < 160; ++i) nested += ")+";
  EXPECT_TRUE(must(matches_pattern(nested, std::string(200, 'a'))));
  EXPECT_FALSE(must(matches_pattern("^" + nested + "$", std::string(200, 'a') + "b")));
}

TEST(CompareReleases, NumbersCountByTheirValue) {
  EXPECT_EQ(compare_releases("6.1.0-9-amd64", "6.1.0-10-amd64"), -1);
  EXPECT_EQ(compare_releases("6.10", "6.9"), 1);
  EXPECT_EQ(compare_releases("5.10", "5.10"), 0);
  EXPECT_EQ(compare_releases("5.10.0-1", "5.10"), 1);
}

TEST(CheckExclusive, SaysWhichRuleExcludesTheKernel) {
  const auto why = [](const DkmsExclusive& exclusive) {
    return message(check_exclusive(exclusive, "6.1.0-9-amd64", "x86_64",
                                   "CONFIG_PCI=y\nCONFIG_USB=m\n# CONFIG_I2C is not set\nCONFIG_HZ=250\n"));
  };
  EXPECT_EQ(why({}), "fine");
  EXPECT_EQ(why({.kernel = "^6\\.",
                 .kernel_min = "6.1",
                 .kernel_max = "6.2",
                 .arch = "^x86",
                 .config = {"CONFIG_PCI", "CONFIG_USB", "!CONFIG_I2C"}}),
            "fine");
  EXPECT_NE(why({.kernel = "^5\\."}).find("BUILD_EXCLUSIVE_KERNEL \"^5"), std::string::npos);
  EXPECT_NE(why({.kernel_min = "6.2"}).find("older than 6.2"), std::string::npos);
  EXPECT_NE(why({.kernel_max = "6.0.99"}).find("newer than 6.0.99"), std::string::npos);
  EXPECT_NE(why({.arch = "arm"}).find("x86_64"), std::string::npos);
  EXPECT_NE(why({.config = {"CONFIG_I2C"}}).find("CONFIG_I2C"), std::string::npos);
  EXPECT_NE(why({.config = {"!CONFIG_USB"}}).find("!CONFIG_USB"), std::string::npos);
  EXPECT_NE(why({.config = {"CONFIG_HZ"}}).find("CONFIG_HZ"), std::string::npos);
  EXPECT_EQ(verdict(check_exclusive({.kernel = "x"}, "6.1", "x86_64", "")), "incompatible");
}

TEST(MakeLine, LastThatMatchesElseTheFirstForAll) {
  DkmsConf conf;
  EXPECT_EQ(must(make_line_for(conf, "6.1")), "");
  conf.make =
      std::vector<DkmsMatched>{DkmsMatched{"for all", ""}, DkmsMatched{"for five", "^5"}, DkmsMatched{"for six", "^6"}};
  EXPECT_EQ(must(make_line_for(conf, "6.1")), "for six");
  EXPECT_EQ(must(make_line_for(conf, "7.0")), "for all");
  conf.make = std::vector<DkmsMatched>{DkmsMatched{"for five", "^5"}};
  EXPECT_EQ(must(make_line_for(conf, "6.1")), "");
}

TEST(Patches, OnlyThoseThatMatchInTheirOrder) {
  DkmsConf conf;
  conf.patches = std::vector<DkmsMatched>{DkmsMatched{"b", ""}, DkmsMatched{"for five", "^5"}, DkmsMatched{"a", "^6"}};
  EXPECT_EQ(must(patches_for(conf, "6.1")), (std::vector<std::string>{"b", "a"}));
}

}  // namespace
}  // namespace driverext
