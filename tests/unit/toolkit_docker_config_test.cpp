#include "toolkit/docker_config.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/verdict.hpp"
#include "toolkit/edit.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

constexpr const char* kRefused = "invalid_input/toolkit-config-invalid";
const std::string kPath = "/opt/gpu/runtime";

Result<std::string> apply(std::string_view text) { return with_docker_runtime(text, "gpu", kPath); }

// The result; and whatever it is, doing it again changes nothing, and one span at most differs from the input.
std::string applied(std::string_view text) {
  const std::string result = must(apply(text));
  EXPECT_EQ(must(apply(result)), result);
  return result;
}

// Bytes of `before` that are not in front of or behind the part of `after` that is new.
size_t bytes_lost(std::string_view before, std::string_view after) {
  size_t front = 0;
  while (front < before.size() && front < after.size() && before[front] == after[front]) ++front;
  size_t back = 0;
  while (back < before.size() - front && back < after.size() - front &&
         before[before.size() - 1 - back] == after[after.size() - 1 - back]) {
    ++back;
  }
  return before.size() - front - back;
}

const char* const kWhole = R"({
  "runtimes": {
    "gpu": {
      "path": "/opt/gpu/runtime",
      "args": []
    }
  }
}
)";

TEST(DockerConfig, AbsentEmptyOrNullBecomesAWholeFile) {
  EXPECT_EQ(applied(""), kWhole);
  EXPECT_EQ(applied("null\n"), kWhole);
  EXPECT_EQ(applied("{}\n"), kWhole);
  EXPECT_EQ(applied("{\n}\n"), kWhole);
  EXPECT_EQ(applied("\n"), kWhole);
  EXPECT_EQ(applied("\xef\xbb\xbf"), "\xef\xbb\xbf" + std::string(kWhole));
  for (const char* text : {" ", "\n \n", " null ", "{ }", "\t{\n\n}"}) {
    EXPECT_EQ(must(parse_json(applied(text))), Json::parse(kWhole)) << text;
  }
}

TEST(DockerConfig, OneLineStaysOneLine) {
  EXPECT_EQ(applied(R"({"z":1,"a":{"y":2}})"),
            R"({"z":1,"a":{"y":2},"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
  EXPECT_EQ(applied(R"({ "a": 1 })"), R"({ "a": 1, "runtimes": {"gpu": {"path": "/opt/gpu/runtime", "args": []}} })");
  EXPECT_EQ(applied(R"({"runtimes":{}})"), R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
  EXPECT_EQ(applied(R"({"runtimes": null})"), R"({"runtimes": {"gpu": {"path": "/opt/gpu/runtime", "args": []}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"x":{"path":"/x"}}})"),
            R"({"runtimes":{"x":{"path":"/x"},"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
}

TEST(DockerConfig, IndentationIsThatOfTheFile) {
  EXPECT_EQ(applied("{\n    \"debug\": true\n}"),
            "{\n    \"debug\": true,\n    \"runtimes\": {\n        \"gpu\": {\n            \"path\": "
            "\"/opt/gpu/runtime\",\n            \"args\": []\n        }\n    }\n}");
  EXPECT_EQ(applied("{\n\t\"runtimes\": {\n\t\t\"x\": {\"path\": \"/x\"}\n\t}\n}\n"),
            "{\n\t\"runtimes\": {\n\t\t\"x\": {\"path\": \"/x\"},\n\t\t\"gpu\": {\n\t\t\t\"path\": "
            "\"/opt/gpu/runtime\",\n\t\t\t\"args\": []\n\t\t}\n\t}\n}\n");
  EXPECT_EQ(applied("{\r\n \"runtimes\" : {}\r\n}\r\n"),
            "{\r\n \"runtimes\" : {\r\n  \"gpu\" : {\r\n   \"path\" : \"/opt/gpu/runtime\",\r\n   \"args\" : []\r\n  "
            "}\r\n }\r\n}\r\n");
}

TEST(DockerConfig, EveryOtherByteSurvives) {
  for (const char* text : {
           R"({"x": 12345678901234567890, "y": 1e+21, "z": 0.10, "w": -0, "e": 1E5})",
           R"({"log-opts":{"tag":"<{{.Name}}>&\u003c\u00e9\/"},"a":[1 ,2,{}, [ ] ]})",
           "\xef\xbb\xbf{\"labels\": [\"gr\xc3\xb6\xc3\x9f\x65\"]}\r\n",
           "{\"bytes\": \"\xff\xfe\", \"half\": \"\\ud800\", \"\\udfff\": 1}",
           "{\"debug\":true,\"debug\":false}",
           "\n\n  {\n\n  \"a\"  :  1  ,\n      \"b\":2 }  \n\n",
           "\xc2\xa0{\"a\":1}\xe2\x80\xa8\v\f",
           R"({"runtimes":{"x":{"runtimeType":"io.containerd.x.v1","options":{"TypeUrl":"x"}}}})",
           R"({"\u0072untimes":{"y":{"path":"/y"}}})",
           R"({"runtimes":{"y":{"path":"/y"}},"runtimes":{"z":{"path":"/z"}}})",
           R"({"runtimes":{"GPU":{"path":"/y"}},"RUNTIMES":3})",
           R"({"a":"\"runtimes\": {","b":"\\"})",
       }) {
    EXPECT_EQ(bytes_lost(text, applied(text)), 0U) << text;
  }
}

TEST(DockerConfig, EntryWithOurPathIsLeftAlone) {
  for (const char* text : {
           R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}}})",
           R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":["--debug"],"runtimeArgs":["x"],"x":1}}})",
           R"({"runtimes":{"g\u0070u":{"p\u0061th":"\/opt\/gpu\/runtime"}}})",
           R"({"runtimes":{"gpu":{"Path":"/opt/gpu/runtime"}}})",
           R"({"runtimes":{"gpu":{"path":"/old","PATH":"/opt/gpu/runtime","path":null}}})",
           R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","runtimeType":""}}})",
           R"({"runtimes":{"gpu":{"path":"/old"},"gpu":{"path":"/opt/gpu/runtime"}}})",
       }) {
    EXPECT_EQ(must(apply(text)), text);
  }
}

TEST(DockerConfig, AnotherPathIsReplacedAndTheRestOfTheEntryKept) {
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"args":["--debug"],"path":"old-runtime","x":[1]}}})"),
            R"({"runtimes":{"gpu":{"args":["--debug"],"path":"/opt/gpu/runtime","x":[1]}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"Path":"/old"}}})"), R"({"runtimes":{"gpu":{"Path":"/opt/gpu/runtime"}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"args":[]}}})"),
            R"({"runtimes":{"gpu":{"args":[],"path":"/opt/gpu/runtime"}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"path":null}}})"), R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"path":"\ud800"}}})"),
            R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}}})");
}

// dockerd does not start if a runtime has both a path and a shim.
TEST(DockerConfig, EntryThatNamesAShimIsReplacedWhole) {
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"runtimeType":"io.containerd.x.v1","options":{}},"y":{"path":"/y"}}})"),
            R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]},"y":{"path":"/y"}}})");
  EXPECT_EQ(verdict(apply(R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","runtimeType":"x"}}})")), kRefused);
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":null}})"), R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{}}})"), R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
}

// encoding/json adds the members of a second "runtimes" to those of the first; a null empties it.
TEST(DockerConfig, TheLastOfTwoEqualMembersCounts) {
  EXPECT_EQ(applied(R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}},"runtimes":{"gpu":{"path":"/old"}}})"),
            R"({"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}},"runtimes":{"gpu":{"path":"/opt/gpu/runtime"}}})");
  EXPECT_EQ(applied(R"({"runtimes":{"x":{}},"runtimes":null})"),
            R"({"runtimes":{"x":{}},"runtimes":null,"runtimes":{"gpu":{"path":"/opt/gpu/runtime","args":[]}}})");
}

TEST(DockerConfig, WhatDockerdRefusesIsRefused) {
  for (const char* text : {"[]",
                           "\"x\"",
                           "1",
                           "true",
                           "{\"a\":1,}",
                           "{\"a\":1} x",
                           "{\n // c\n \"a\":1}",
                           "{a:1}",
                           "{'a':1}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":+1}",
                           "{\"a\":1e}",
                           "{\"a\":1e999}",
                           "{\"a\":nul}",
                           "{\"a\":NaN}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12g4\"}",
                           "{\"a\" 1}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[1,]}",
                           "{,}",
                           "}",
                           "nullx",
                           "{\"runtimes\":[]}",
                           "{\"runtimes\":\"x\"}",
                           "{\"runtimes\":{\"gpu\":[]}}",
                           "{\"runtimes\":{\"other\":\"x\"}}",
                           "{\"runtimes\":3,\"runtimes\":{}}",
                           "{\"runtimes\":{\"gpu\":{\"path\":1}}}",
                           "{\"runtimes\":{\"gpu\":{\"runtimeType\":[]}}}",
                           "\xff\xfe{\0}\0"}) {
    EXPECT_EQ(verdict(apply(text)), kRefused) << text;
  }
  EXPECT_EQ(verdict(apply(std::string_view("{}\0", 3))), kRefused);
  EXPECT_EQ(verdict(apply(std::string_view("{\"a\0\":1}", 8))), kRefused);
}

TEST(DockerConfig, ErrorsSayWhere) {
  EXPECT_EQ(message(apply("{\n  \"a\": 1,\n  \"b\": x\n}")), "line 3, column 8: not JSON: here a value belongs");
  EXPECT_EQ(message(apply("{\n  \"runtimes\": []\n}")), "line 2, column 15: \"runtimes\" is not an object");
  EXPECT_EQ(message(apply("{\"a\":")), "line 1, column 6: the text ends where a value is missing");
}

TEST(DockerConfig, SizeAndDepthAreBounded) {
  const auto nested = [](size_t levels) {
    return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
  };
  EXPECT_EQ(verdict(apply(nested(64))), "fine");
  EXPECT_EQ(verdict(apply(nested(65))), kRefused);
  EXPECT_EQ(verdict(apply(std::string(500'000, '['))), kRefused);
  EXPECT_EQ(verdict(apply(std::string(kMaxEngineConfig + 1, ' '))), kRefused);
  // What would be too large to be read again is not made.
  EXPECT_EQ(verdict(apply("{}" + std::string(kMaxEngineConfig - 2, ' '))), kRefused);
}

// No prefix is taken for more than it says: it is refused, or it is JSON and only grows.
TEST(DockerConfig, EveryTruncationIsRefusedOrKept) {
  const std::string text =
      "\xef\xbb\xbf{\n  \"a\": [true, false, null, -1.5e+3, \"\\u00e9\\n\\ud83d\"],\n  \"runtimes\": {\n    \"gpu\": "
      "{\n      \"args\": [\"x\"],\n      \"path\": \"/old\"\n    },\n    \"y\": {}\n  }\n}\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string prefix = text.substr(0, size);
    const auto result = apply(prefix);
    if (!result) {
      EXPECT_EQ(verdict(result), kRefused) << size;
      continue;
    }
    EXPECT_TRUE(size <= 3 || size >= text.size() - 1) << size;
    EXPECT_EQ(must(apply(*result)), *result) << size;
  }
}

TEST(DockerConfig, ArgumentsAreChecked) {
  for (const char* name : {"", "runc", "a b", "a\"", ".x", "a/b"}) {
    EXPECT_EQ(verdict(with_docker_runtime("{}", name, kPath)), "invalid_input") << name;
  }
  for (const char* path : {"", "runtime", "/a\nb", "/a\xff"}) {
    EXPECT_EQ(verdict(with_docker_runtime("{}", "gpu", path)), "invalid_input") << path;
  }
  const std::string odd = must(with_docker_runtime("{}", "gpu", "/opt/a \"b\"/\\c/\u00e9"));
  EXPECT_EQ(must(parse_json(odd))["runtimes"]["gpu"]["path"], "/opt/a \"b\"/\\c/\u00e9");
}

}  // namespace
}  // namespace driverext
