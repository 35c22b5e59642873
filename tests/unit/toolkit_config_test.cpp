#include "toolkit/toolkit_config.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"
#include "sys/toml_file.hpp"
#include "toolkit/edit.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

constexpr const char* kRefused = "invalid_input/toolkit-config-invalid";

Result<std::string> apply(std::string_view text) { return with_toml_string(text, "gpu-cli", "root", "/run/driver"); }

// The result; and whatever it is, it says what it should, and doing it again changes nothing.
std::string applied(std::string_view text) {
  const std::string result = must(apply(text));
  EXPECT_EQ(must(parse_toml(result, "result"))["gpu-cli"]["root"].value_or(std::string()), "/run/driver");
  EXPECT_EQ(must(apply(result)), result);
  return result;
}

TEST(ToolkitConfig, ValueThatIsThereAlreadyIsLeftAlone) {
  for (const char* text : {
           "[gpu-cli]\nroot = \"/run/driver\"\n",
           "[gpu-cli]\r\n  root='/run/driver' # mine\r\n",
           "gpu-cli.root = \"/run/driver\"",
           "gpu-cli = {a = 1, root = \"/run/driver\"}\n",
           "[ \"gpu-cli\" ]\n'root' = '''/run/driver'''\n",
           "[gpu-cli]\nroot = \"/run/dr\\u0069ver\"",
       }) {
    EXPECT_EQ(must(apply(text)), text);
  }
}

TEST(ToolkitConfig, AnotherValueIsReplacedWhereItStands) {
  EXPECT_EQ(applied("[gpu-cli]\n  root  =  \"/old\"   # why\nx = 1\n"),
            "[gpu-cli]\n  root  =  \"/run/driver\"   # why\nx = 1\n");
  EXPECT_EQ(applied("[gpu-cli]\r\nroot = '/old # no comment'\r\n"), "[gpu-cli]\r\nroot = \"/run/driver\"\r\n");
  EXPECT_EQ(applied("gpu-cli.root = \"/old\""), "gpu-cli.root = \"/run/driver\"");
  EXPECT_EQ(applied("\"gpu-cli\" . 'root' = \"/old\"\n[x]\n"), "\"gpu-cli\" . 'root' = \"/run/driver\"\n[x]\n");
  EXPECT_EQ(applied("[gpu-cli]\nr\u006fot = '''\n[x]\nroot = 1'''\n# end"), "[gpu-cli]\nroot = \"/run/driver\"\n# end");
  EXPECT_EQ(applied("[gpu-cli]\n\"r\\u006fot\" = \"\"\"a \\\"\"\" b\"\"\"\"\"\nx=1"),
            "[gpu-cli]\n\"r\\u006fot\" = \"/run/driver\"\nx=1");
  EXPECT_EQ(applied("[gpu-cli]\nroot = 5\n"), "[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("[gpu-cli]\nroot = \"\"\n"), "[gpu-cli]\nroot = \"/run/driver\"\n");
}

TEST(ToolkitConfig, NewLineStandsBehindTheCommentThatShowsTheDefault) {
  EXPECT_EQ(applied("#root = 0\n[gpu-cli]\n#path = \"x\"\n#root = \"/run/driver\"\n#user = \"a\"\n\n[b]\n#root = 1\n"),
            "#root = 0\n[gpu-cli]\n#path = \"x\"\n#root = \"/run/driver\"\nroot = \"/run/driver\"\n#user = "
            "\"a\"\n\n[b]\n#root = 1\n");
  EXPECT_EQ(applied("[gpu-cli]\r\n\t#  root=\"/x\"\r\nx = 1\r\n"),
            "[gpu-cli]\r\n\t#  root=\"/x\"\r\n\troot = \"/run/driver\"\r\nx = 1\r\n");
  EXPECT_EQ(applied("[gpu-cli]\n#root = 1"), "[gpu-cli]\n#root = 1\nroot = \"/run/driver\"");
  // Other keys and plain words are not it.
  EXPECT_EQ(applied("[gpu-cli]\n#rootless = 1\n# root of all\n#root\na = '''\n#root = 1\n'''\n"),
            "[gpu-cli]\n#rootless = 1\n# root of all\n#root\na = '''\n#root = 1\n'''\nroot = \"/run/driver\"\n");
}

TEST(ToolkitConfig, ElseItStandsAtTheEndOfTheTable) {
  EXPECT_EQ(applied("[gpu-cli]\nx = 1\n\n\n[b]\ny = 1\n"),
            "[gpu-cli]\nx = 1\nroot = \"/run/driver\"\n\n\n[b]\ny = 1\n");
  EXPECT_EQ(applied("[gpu-cli]\n[b]\n"), "[gpu-cli]\nroot = \"/run/driver\"\n[b]\n");
  EXPECT_EQ(applied("[gpu-cli]\n  x = [\n 1, # ]\n]\n\n# about b\n[b]\n"),
            "[gpu-cli]\n  x = [\n 1, # ]\n]\n  root = \"/run/driver\"\n\n# about b\n[b]\n");
  EXPECT_EQ(applied("[gpu-cli]\nx = 1\n#user = 1\n\n[b]\n"),
            "[gpu-cli]\nx = 1\n#user = 1\nroot = \"/run/driver\"\n\n[b]\n");
  EXPECT_EQ(applied("[gpu-cli]"), "[gpu-cli]\nroot = \"/run/driver\"");
  EXPECT_EQ(applied("[gpu-cli] # c\r\nx = 1"), "[gpu-cli] # c\r\nx = 1\r\nroot = \"/run/driver\"");
  EXPECT_EQ(applied("[gpu-cli]\n[[gpu-cli.x]]\nroot = 1\n"),
            "[gpu-cli]\nroot = \"/run/driver\"\n[[gpu-cli.x]]\nroot = 1\n");
}

TEST(ToolkitConfig, ElseTheTableIsAdded) {
  EXPECT_EQ(applied(""), "[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("\xef\xbb\xbf"), "\xef\xbb\xbf[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("a = 1"), "a = 1\n\n[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("a = 1\r\n\r\n"), "a = 1\r\n\r\n[gpu-cli]\r\nroot = \"/run/driver\"\r\n");
  EXPECT_EQ(applied("# [gpu-cli]\n"), "# [gpu-cli]\n\n[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("[gpu-cli.sub]\nx = 1\n"), "[gpu-cli.sub]\nx = 1\n\n[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("[x.gpu-cli]\nroot = 1\n"), "[x.gpu-cli]\nroot = 1\n\n[gpu-cli]\nroot = \"/run/driver\"\n");
  EXPECT_EQ(applied("[x]\ngpu-cli.root = 1\n"), "[x]\ngpu-cli.root = 1\n\n[gpu-cli]\nroot = \"/run/driver\"\n");
}

TEST(ToolkitConfig, DottedKeysGetOneMore) {
  EXPECT_EQ(applied("gpu-cli.x = 1\ngpu-cli.y.z = 2 # c\nb = 1\n"),
            "gpu-cli.x = 1\ngpu-cli.y.z = 2 # c\ngpu-cli.root = \"/run/driver\"\nb = 1\n");
  EXPECT_EQ(applied("  'gpu-cli' . x = 1"), "  'gpu-cli' . x = 1\n  'gpu-cli'.root = \"/run/driver\"");
}

TEST(ToolkitConfig, TablesInsideOfStringsAreText) {
  const std::string text =
      "a = \"\"\"\n[gpu-cli]\n#root = 1\n\\\"\"\"\n\"\"\"\nb = '''\n[gpu-cli]'''\nc = '[gpu-cli]'\n";
  EXPECT_EQ(applied(text), text + "\n[gpu-cli]\nroot = \"/run/driver\"\n");
}

TEST(ToolkitConfig, EverythingElseSurvives) {
  const std::string head = "# \u00e9\r\n\n a=nan\n\"b c\" = [ 1979-05-27T07:32:00Z, {x.y = 0x_not} ]\n";
  const std::string good = "# \u00e9\r\n\n a=nan\n\"b c\" = [ 1979-05-27T07:32:00Z ]\nd = {x.y = 0xff, z = [ [ ] ]}\n";
  EXPECT_EQ(verdict(apply(head)), kRefused);
  EXPECT_EQ(applied(good + "[gpu-cli]\n\n[[z]]\n[[z]]\ne = -0.0 #"),
            good + "[gpu-cli]\nroot = \"/run/driver\"\n\n[[z]]\n[[z]]\ne = -0.0 #");
}

TEST(ToolkitConfig, WhatNoLineCanBeAddedToIsRefused) {
  for (const char* text : {"gpu-cli = {}", "gpu-cli = {x = 1}\n", "gpu-cli = {root = \"/old\"}\n", "gpu-cli = 3",
                           "gpu-cli = []", "[[gpu-cli]]\n", "[[gpu-cli]]\nroot = \"/old\"", "[gpu-cli]\nroot = []",
                           "[gpu-cli]\nroot = {}", "[gpu-cli.root]\n", "[[gpu-cli.root]]\n", "gpu-cli.root.x = 1\n"}) {
    EXPECT_EQ(verdict(apply(text)), kRefused) << text;
  }
}

TEST(ToolkitConfig, WhatIsNoTomlIsRefused) {
  for (const char* text :
       {"a",          "a =",         "= 1",    "a = 1 b = 2", "a = 1\na = 2\n", "[a]\n[a]\n",   "[a",
        "[[a]",       "[]",          "a. = 1", "a = \"",      "a = '''\n",      "a = [1\n",     "a = ]",
        "a = {b = 1", "a = \"\\q\"", "a = 01", "# \x01",      "a = 1\rb = 2\n", "\"a\nb\" = 1", "a = \"\xff\"",
        "\xff\xfe",   "a b = 1",     "[a] x"}) {
    EXPECT_EQ(verdict(apply(text)), kRefused) << text;
  }
  // What toml++ 3.3 must not be shown.
  for (const char* text : {"a = \u00e9", "a = [\ufedf]", "a = 1\u00a1", "\u00e9 = 1", "a \u00e9= 1", "[a\u00e9]",
                           "a = \"\"\"\\\n  \u00e9\"\"\"", "a = \"\\\u00e9\"", "\"\"\"a\"\"\" = 1"}) {
    EXPECT_EQ(verdict(apply(text)), kRefused) << text;
  }
  EXPECT_EQ(verdict(apply(std::string_view("a = 1\0", 6))), kRefused);
}

TEST(ToolkitConfig, ErrorsSayWhere) {
  EXPECT_EQ(message(apply("a = 1\n[b\n")), "line 2, column 3: a table's name should end here");
  EXPECT_NE(message(apply("a = 1\nb = 01\n")).find("TOML:2: "), std::string::npos);
  EXPECT_EQ(message(apply("a = 1\ngpu-cli = {}\n")),
            "line 2, column 11: gpu-cli is an inline table; write it as [gpu-cli]");
}

// toml++ goes down one call a level, and has no bound for dotted keys.
TEST(ToolkitConfig, SizeAndDepthAreBounded) {
  std::string dotted;
  for (int i = 0; i < 100'000; ++i) dotted += "a.";
  EXPECT_EQ(verdict(apply(dotted + "a = 1")), kRefused);
  EXPECT_EQ(verdict(apply("[" + dotted + "a]")), kRefused);
  EXPECT_EQ(verdict(apply("x = {" + dotted + "a = 1}")), kRefused);
  EXPECT_EQ(verdict(apply("x = [{" + dotted + "a = 1}]")), kRefused);
  EXPECT_EQ(verdict(apply("x = " + std::string(65, '[') + std::string(65, ']'))), kRefused);
  EXPECT_EQ(verdict(apply("x = " + std::string(64, '[') + std::string(64, ']'))), "fine");
  EXPECT_EQ(verdict(apply("x = " + std::string(500'000, '['))), kRefused);
  EXPECT_EQ(verdict(apply("x = \"" + dotted + "\"")), "fine");
  EXPECT_EQ(verdict(apply(std::string(kMaxEngineConfig + 1, '\n'))), kRefused);
  EXPECT_EQ(verdict(apply(std::string(kMaxEngineConfig, '\n'))), kRefused);
}

// Whatever is cut off: refused, or what is left stays and says what it should.
TEST(ToolkitConfig, EveryTruncationIsRefusedOrKept) {
  const std::string text =
      "\xef\xbb\xbf# top\r\na.b = {c = [1, 2], d = \"x\\\"y\"}\n[\"gpu-cli\"] # c\n#path = 1\nx = "
      "\"\"\"\n[y]\n\\\"\"\"\"\n"
      "l = '''a''' # b\n#root = \"/x\"\n  root = 'old' # z\n\n[[t]]\nk = 1979-05-27 07:32:00\n[z.'y'.\"x\"]\nw = "
      "[\n]\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string prefix = text.substr(0, size);
    const auto result = apply(prefix);
    if (!result) {
      EXPECT_EQ(verdict(result), kRefused) << size << message(result);
      continue;
    }
    EXPECT_GE(applied(prefix).size(), prefix.size()) << size;
  }
}

TEST(ToolkitConfig, ArgumentsAreChecked) {
  for (const char* bad : {"", "a.b", "a b", "\"a\"", "a\n", "[a]"}) {
    EXPECT_EQ(verdict(with_toml_string("", bad, "root", "/x")), "invalid_input") << bad;
    EXPECT_EQ(verdict(with_toml_string("", "t", bad, "/x")), "invalid_input") << bad;
  }
  for (const char* bad : {"", "a\nb", "\xff", "\x7f"}) {
    EXPECT_EQ(verdict(with_toml_string("", "t", "k", bad)), "invalid_input") << bad;
  }
  EXPECT_EQ(must(with_toml_string("", "t", "k", "a \"b\" \\c \u00e9")), "[t]\nk = \"a \\\"b\\\" \\\\c \u00e9\"\n");
}

}  // namespace
}  // namespace driverext
