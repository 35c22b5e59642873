#include "channel/index.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/json.hpp"
#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::sample_entry;
using test::sample_index;
using test::sample_release;
using test::verdict;

std::string edited(const std::function<void(OrderedJson&)>& edit) {
  OrderedJson object = OrderedJson::parse(format_index(sample_index()));
  edit(object);
  return object.dump();
}

std::string parsed(const std::function<void(OrderedJson&)>& edit) { return verdict(parse_index(edited(edit))); }

std::string parsed_image(const char* member, const OrderedJson& value) {
  return parsed([&](OrderedJson& o) { o["releases"][0]["images"][0][member] = value; });
}

std::string parsed_release(const char* member, const OrderedJson& value) {
  return parsed([&](OrderedJson& o) { o["releases"][0][member] = value; });
}

TEST(ReleaseNumber, IsThreeNumbersWithoutLeadingZeros) {
  for (const char* text : {"0.0.0", "1.0.0", "10.20.30", "4294967295.0.0"}) {
    EXPECT_EQ(must(ReleaseNumber::parse(text)).text(), text);
  }
  for (const char* text : {"", "1", "1.0", "1.0.0.0", "01.0.0", "1.00.0", "1.0.-1", "1.0.+1", "1.0.0 ", " 1.0.0",
                           "1..0", "1.0.x", "4294967296.0.0", "580.126.09", "v1.0.0"}) {
    EXPECT_EQ(verdict(ReleaseNumber::parse(text)), "invalid_input") << text;
  }
}

TEST(ReleaseNumber, IsOrderedByNumberNotByText) {
  EXPECT_GT(must(ReleaseNumber::parse("1.10.0")), must(ReleaseNumber::parse("1.9.9")));
  EXPECT_EQ(must(must(ReleaseNumber::parse("1.2.9")).next()).text(), "1.2.10");
  EXPECT_EQ(verdict(must(ReleaseNumber::parse("1.0.4294967295")).next()), "invalid_input");
}

TEST(Index, WhatIsWrittenIsRead) {
  ChannelIndex index = sample_index({sample_release({{1, 0, 0}}), sample_release({{2, 0, 0}}, 10)});
  index.releases[0].images.push_back(sample_entry("6.13.0", "other"));
  index.releases[0].images.push_back(
      {"source", "", "x86-64", "debian", "12", test::hash_of("s"), 1, test::hash_of("t")});
  const ChannelIndex again = must(parse_index(format_index(index)));
  EXPECT_EQ(format_index(again), format_index(index));
  EXPECT_EQ(again.releases.at(0).images.size(), 3U);
  EXPECT_EQ(again.newest(test::kSampleDriver)->number.text(), "2.0.0");
  EXPECT_EQ(again.newest("other"), nullptr);
}

TEST(Index, OrderOfReleasesAndImagesIsNotInTheBytes) {
  ChannelIndex one = sample_index({sample_release({{1, 0, 0}}), sample_release({{2, 0, 0}})});
  one.releases[0].images.push_back(sample_entry("6.13.0", "other"));
  ChannelIndex two = one;
  std::reverse(two.releases.begin(), two.releases.end());
  std::reverse(two.releases[1].images.begin(), two.releases[1].images.end());
  EXPECT_EQ(format_index(one), format_index(two));
}

TEST(Index, UnknownAndMissingMembersAreRefused) {
  for (const char* member : {"channel", "serial", "created", "expires", "releases", "format"}) {
    EXPECT_EQ(parsed([&](OrderedJson& o) { o.erase(member); }), "invalid_input") << member;
  }
  for (const char* member : {"release", "driver", "version", "percent", "images"}) {
    EXPECT_EQ(parsed([&](OrderedJson& o) { o["releases"][0].erase(member); }), "invalid_input") << member;
  }
  for (const char* member : {"kind", "kernelRelease", "architecture", "os", "rootHash", "size", "sha256", "file"}) {
    EXPECT_EQ(parsed([&](OrderedJson& o) { o["releases"][0]["images"][0].erase(member); }), "invalid_input") << member;
  }
  EXPECT_EQ(parsed([](OrderedJson& o) { o["more"] = 1; }), "invalid_input");
  EXPECT_EQ(parsed_release("more", 1), "invalid_input");
  EXPECT_EQ(parsed_image("more", 1), "invalid_input");
  EXPECT_EQ(parsed([](OrderedJson&) {}), "fine");
}

TEST(Index, NewerFormatIsToldFromADamagedOne) {
  const auto newer = parse_index(edited([](OrderedJson& o) {
    o["format"] = 2;
    o["more"] = 1;
  }));
  EXPECT_EQ(verdict(newer), "unsupported");
  EXPECT_NE(message(newer).find("update"), std::string::npos);
}

TEST(Index, FileIsNamedByItsRootHashAndNothingElse) {
  for (const char* file : {"", "images/x.raw", "../../etc/passwd", "http://elsewhere.test/x.raw", "/images/x.raw"}) {
    EXPECT_EQ(parsed_image("file", file), "invalid_input") << file;
  }
  for (const std::string& hash : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                  "../" + std::string(61, 'a')}) {
    EXPECT_EQ(parsed([&](OrderedJson& o) {
                o["releases"][0]["images"][0]["rootHash"] = hash;
                o["releases"][0]["images"][0]["file"] = "images/" + hash + ".raw";
              }),
              "invalid_input")
        << hash;
  }
}

TEST(Index, NumbersHaveBounds) {
  EXPECT_EQ(parsed_release("percent", 100), "fine");
  EXPECT_EQ(parsed_release("percent", 101), "invalid_input");
  EXPECT_EQ(parsed_release("percent", -1), "invalid_input");
  EXPECT_EQ(parsed_release("percent", 0.5), "invalid_input");
  EXPECT_EQ(parsed_image("size", 0), "invalid_input");
  EXPECT_EQ(parsed_image("size", kMaxChannelImage + 1), "invalid_input");
  EXPECT_EQ(parsed([](OrderedJson& o) { o["serial"] = 0; }), "invalid_input");
  EXPECT_EQ(parsed([](OrderedJson& o) { o["expires"] = o["created"]; }), "invalid_input");
  EXPECT_EQ(parsed([](OrderedJson& o) { o["expires"] = 253'402'300'800; }), "invalid_input");
  EXPECT_EQ(parsed([](OrderedJson& o) { o["expires"] = UINT64_MAX; }), "invalid_input");
}

TEST(Index, NamesAreFitForPathsAndTerminals) {
  for (const char* name : {"", "../x", "a/b", ".hidden", "a b", "a\nb"}) {
    EXPECT_EQ(parsed([&](OrderedJson& o) { o["channel"] = name; }), "invalid_input") << name;
    EXPECT_EQ(parsed_release("driver", name), "invalid_input") << name;
    EXPECT_EQ(parsed_release("version", name), "invalid_input") << name;
    EXPECT_EQ(parsed_image("kernelRelease", name), "invalid_input") << name;
    EXPECT_EQ(parsed_image("architecture", name), "invalid_input") << name;
    EXPECT_EQ(parsed_image("kind", name), "invalid_input") << name;
  }
  EXPECT_EQ(parsed_image("os", {{"id", "a\033b"}, {"versionId", ""}}), "invalid_input");
}

TEST(Index, KindThatIsNotKnownYetDoesNotSpoilTheIndex) {
  EXPECT_EQ(parsed_image("kind", "userland"), "fine");
  EXPECT_EQ(parsed([](OrderedJson& o) {
              o["releases"][0]["images"][0]["kind"] = "source";
              o["releases"][0]["images"][0].erase("kernelRelease");
            }),
            "fine");
}

TEST(Index, NothingStandsThereTwice) {
  const auto doubled = [](const char* list, const std::function<void(OrderedJson&)>& edit) {
    return parsed([&](OrderedJson& o) {
      OrderedJson& all = std::string_view(list) == "images" ? o["releases"][0]["images"] : o["releases"];
      OrderedJson copy = all[0];
      edit(copy);
      all.push_back(copy);
    });
  };
  EXPECT_EQ(doubled("releases", [](OrderedJson&) {}), "invalid_input");
  EXPECT_EQ(doubled("releases", [](OrderedJson& r) { r["driver"] = "other"; }), "fine");
  EXPECT_EQ(doubled("images", [](OrderedJson&) {}), "invalid_input");
  EXPECT_EQ(doubled("images", [](OrderedJson& i) { i["kernelRelease"] = "6.13.0"; }), "fine");
  EXPECT_EQ(doubled("images",
                    [](OrderedJson& i) {
                      i["kernelRelease"] = "6.13.0";
                      i["sha256"] = std::string(64, '0');
                    }),
            "invalid_input");
}

}  // namespace
}  // namespace driverext
