#include "base/json.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;

TEST(Json, DuplicateMemberIsRefusedAtEveryDepth) {
  for (const char* text :
       {R"({"a":1,"a":1})", R"({"a":1,"b":2,"a":3})", R"({"x":{"a":1,"a":2}})", R"([[{"a":1,"a":2}]])",
        // The same member, spelt with an escape.
        R"({"a":1,"\u0061":2})"}) {
    EXPECT_NE(message(parse_json(text)).find("twice"), std::string::npos) << text;
  }
}

TEST(Json, SameMemberInSiblingsIsFine) { EXPECT_TRUE(parse_json(R"([{"a":1},{"a":2},{"b":{"a":1},"a":2}])")); }

TEST(Json, DepthIsBounded) {
  EXPECT_TRUE(parse_json("[[1]]", {.max_depth = 2}));
  EXPECT_FALSE(parse_json("[[[1]]]", {.max_depth = 2}));
  EXPECT_FALSE(parse_json(R"({"a":{"b":{}}})", {.max_depth = 2}));
  EXPECT_TRUE(parse_json("[[],[],[]]", {.max_depth = 2}));  // beside each other is not deep
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
}

TEST(Json, SizeIsBounded) {
  EXPECT_TRUE(parse_json("[1]", {.max_size = 3}));
  EXPECT_NE(message(parse_json("[1] ", {.max_size = 3})).find("at most 3"), std::string::npos);
}

TEST(Json, TrailingGarbageIsRefused) {
  for (const char* text : {"{} x", "{}{}", "[1],", "1 2", "{}\x01"}) EXPECT_FALSE(parse_json(text)) << text;
  EXPECT_TRUE(parse_json(" {} \n"));
  EXPECT_FALSE(parse_json(std::string_view("{}\0", 3)));
}

TEST(Json, WhatIsNotJsonIsRefusedWithItsPosition) {
  for (const char* text :
       {"", "{", "{a:1}", "{'a':1}", "[1,]", "nul", "NaN", "01", "\"\xff\"", "\"\n\"", "// c\n1", "\xef\xbb\xbf{}"}) {
    EXPECT_FALSE(parse_json(text)) << text;
  }
  EXPECT_NE(message(parse_json("[1,]")).find("byte 4"), std::string::npos);
}

TEST(Json, UnknownMemberIsNamed) {
  const Json object = must(parse_json(R"({"a":1,"zz":2})"));
  EXPECT_NE(message(only_members(object, {"a"})).find("\"zz\""), std::string::npos);
  EXPECT_TRUE(only_members(object, {"zz", "a", "b"}));
  EXPECT_FALSE(only_members(Json::array(), {}));
}

TEST(Json, MembersHaveTheTypeThatIsAskedFor) {
  const Json object = must(
      parse_json(R"({"s":"x","n":7,"neg":-1,"f":1.0,"big":18446744073709551616,"max":18446744073709551615,"b":true})"));
  EXPECT_EQ(must(json_string(object, "s")), "x");
  EXPECT_EQ(must(json_number(object, "n")), 7U);
  EXPECT_EQ(must(json_number(object, "max")), UINT64_MAX);
  for (const char* name : {"s", "neg", "f", "big", "b", "none"}) EXPECT_FALSE(json_number(object, name)) << name;
  for (const char* name : {"n", "b", "none"}) EXPECT_FALSE(json_string(object, name)) << name;
  EXPECT_EQ(must(json_optional_string(object, "none")), "");
  EXPECT_FALSE(json_optional_string(object, "n"));
  EXPECT_FALSE(json_string(Json::array(), "s"));
  EXPECT_FALSE(json_optional_string(Json(1), "s"));
}

}  // namespace
}  // namespace driverext
