#include "base/version.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace driverext {
namespace {

TEST(Version, DottedNumbersAreComparedAsNumbersPartByPart) {
  const std::vector<std::string> ascending = {
      "0",         "0.1",        "1",           "1.0.1",        "1.2",
      "1.10",      "2",          "450.102.04",  "450.102.10",   "580.65.06",
      "580.65.07", "580.159.04", "580.159.4.1", "999999999999", "99999999999999999999999"};
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      const auto order = compare_versions(ascending[i], ascending[j]);
      ASSERT_TRUE(order) << ascending[i] << ascending[j];
      EXPECT_EQ(*order < 0, i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(*order > 0, i > j) << ascending[i] << " " << ascending[j];
    }
  }
}

TEST(Version, LeadingZerosAndMissingPartsMakeNoDifference) {
  EXPECT_EQ(compare_versions("580.65.06", "580.65.6"), 0);
  EXPECT_EQ(compare_versions("1", "1.0.0"), 0);
  EXPECT_EQ(compare_versions("00.0", "0"), 0);
}

TEST(Version, WhatFollowsTheNumbersDoesNotCount) {
  EXPECT_EQ(compare_versions("6.2.3-1", "6.2.3"), 0);
  EXPECT_EQ(compare_versions("1.2~rc1", "1.2"), 0);
  EXPECT_EQ(compare_versions("1.2.x.9", "1.2.0"), 0);
  EXPECT_EQ(compare_versions("1..5", "1"), 0);
  EXPECT_LT(*compare_versions("1.2rc9", "1.3"), 0);
}

TEST(Version, OneWithoutANumberInFrontCannotBeCompared) {
  for (const char* version : {"", "git20230101", ".1", "-1", "v1.2"}) {
    EXPECT_FALSE(compare_versions(version, "1")) << version;
    EXPECT_FALSE(compare_versions("1", version)) << version;
  }
}

TEST(Version, DottedNumberIsDigitsWithSingleDots) {
  for (const char* good : {"1", "580.65.06", "0.0.0"}) EXPECT_TRUE(is_dotted_number(good)) << good;
  for (const char* bad : {"", ".", "1.", ".1", "1..2", "1.2-3", "1.x", " 1", "1 "}) {
    EXPECT_FALSE(is_dotted_number(bad)) << bad;
  }
}

}  // namespace
}  // namespace driverext
