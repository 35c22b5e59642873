#include "sysext/manifest.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::sample_manifest;
using test::verdict;

OrderedJson sample_json() { return OrderedJson::parse(format_manifest(sample_manifest())); }

std::string edited(const std::function<void(OrderedJson&)>& edit) {
  OrderedJson object = sample_json();
  edit(object);
  return verdict(parse_manifest(object.dump()));
}

TEST(Manifest, RoundTripsToTheSameBytes) {
  const std::string text = format_manifest(sample_manifest());
  EXPECT_EQ(format_manifest(must(parse_manifest(text))), text);
}

Manifest manifest_of(Kind kind) {
  return sample_manifest({.driver = kind == Kind::builder ? "builder" : test::kSampleDriver, .kind = kind});
}

constexpr Kind kKinds[] = {Kind::modules, Kind::complete, Kind::source, Kind::builder};

TEST(Manifest, EveryKindRoundTripsToTheSameBytes) {
  for (const Kind kind : kKinds) {
    const std::string text = format_manifest(manifest_of(kind));
    const Manifest read = must(parse_manifest(text));
    EXPECT_EQ(read.kind, kind);
    EXPECT_EQ(format_manifest(read), text) << kind_name(kind);
    EXPECT_EQ(must(kind_of_name(kind_name(kind))), kind);
  }
}

TEST(Manifest, EveryKindNeedsItsMembers) {
  for (const Kind kind : kKinds) {
    const OrderedJson whole = OrderedJson::parse(format_manifest(manifest_of(kind)));
    for (const auto& item : whole.items()) {
      OrderedJson object = whole;
      object.erase(item.key());
      EXPECT_EQ(verdict(parse_manifest(object.dump())), "invalid_input") << kind_name(kind) << " " << item.key();
    }
  }
}

TEST(Manifest, MembersOfAnotherKindAreRefused) {
  const OrderedJson modules = OrderedJson::parse(format_manifest(manifest_of(Kind::modules)));
  const OrderedJson builder = OrderedJson::parse(format_manifest(manifest_of(Kind::builder)));
  const auto refused = [](Kind kind, const char* name, const OrderedJson& value) {
    OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(kind)));
    EXPECT_FALSE(object.contains(name));
    object[name] = value;
    return verdict(parse_manifest(object.dump()));
  };
  for (const Kind kind : {Kind::source, Kind::builder}) {
    for (const char* name : {"modules", "kernelRelease", "vermagic"}) {
      EXPECT_EQ(refused(kind, name, modules[name]), "invalid_input") << kind_name(kind) << " " << name;
    }
  }
  for (const Kind kind : {Kind::modules, Kind::complete, Kind::source}) {
    EXPECT_EQ(refused(kind, "kernels", builder["kernels"]), "invalid_input") << kind_name(kind);
  }
}

TEST(Manifest, KindsAreNotExchangeable) {
  for (const Kind kind : kKinds) {
    for (const Kind other : kKinds) {
      const bool same_members = kind == other || (manifest_of(kind).is_loadable() && manifest_of(other).is_loadable());
      OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(kind)));
      object["kind"] = kind_name(other);
      EXPECT_EQ(verdict(parse_manifest(object.dump())), same_members ? "fine" : "invalid_input")
          << kind_name(kind) << " as " << kind_name(other);
    }
  }
}

TEST(Manifest, KernelsOfABuilderAreABoundedListOfNames) {
  const auto with_kernels = [](const OrderedJson& kernels) {
    OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(Kind::builder)));
    object["kernels"] = kernels;
    return verdict(parse_manifest(object.dump()));
  };
  EXPECT_EQ(with_kernels(std::vector<std::string>(1000, "6.1")), "fine");
  EXPECT_EQ(with_kernels(std::vector<std::string>(1001, "6.1")), "invalid_input");
  const std::vector<OrderedJson> bad = {OrderedJson::array(), "6.1", {1}, {"../x"}, {""}, {"6.1", "a/b"}};
  for (const OrderedJson& kernels : bad) EXPECT_EQ(with_kernels(kernels), "invalid_input") << kernels;
}

TEST(Manifest, SourceStandsInAFolderOfItsOwnName) {
  EXPECT_EQ(source_folder(manifest_of(Kind::source)), "usr/src/driverext/testcam-1.0");
}

TEST(Manifest, EveryMemberIsNeeded) {
  const OrderedJson sample = sample_json();
  for (const auto& item : sample.items()) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object.erase(item.key()); }), "invalid_input") << item.key();
  }
  for (const char* name : {"name", "path", "size", "sha256", "buildId", "depends"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["modules"][0].erase(name); }), "invalid_input") << name;
  }
  for (const char* name : {"id", "versionId"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["os"].erase(name); }), "invalid_input") << name;
  }
}

TEST(Manifest, UnknownMembersAreRefusedEverywhere) {
  EXPECT_EQ(edited([](OrderedJson& object) { object["extra"] = 1; }), "invalid_input");
  EXPECT_EQ(edited([](OrderedJson& object) { object["os"]["extra"] = 1; }), "invalid_input");
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"][0]["extra"] = 1; }), "invalid_input");
}

TEST(Manifest, DuplicateMemberIsRefused) {
  std::string text = format_manifest(sample_manifest());
  text.insert(1, "\"kernelRelease\": \"6.6.6\",");
  EXPECT_NE(message(parse_manifest(text)).find("twice"), std::string::npos);
}

TEST(Manifest, EveryMemberHasItsType) {
  const OrderedJson sample = sample_json();
  for (const auto& item : sample.items()) {
    EXPECT_NE(edited([&](OrderedJson& object) { object[item.key()] = nullptr; }), "fine") << item.key();
    EXPECT_NE(edited([&](OrderedJson& object) { object[item.key()] = OrderedJson::array({1}); }), "fine") << item.key();
  }
}

TEST(Manifest, NewerFormatAndOtherKindsAreUnsupportedNotBroken) {
  EXPECT_EQ(edited([](OrderedJson& object) { object["format"] = 2; }), "unsupported");
  EXPECT_EQ(edited([](OrderedJson& object) { object["kind"] = "userland"; }), "unsupported");
}

TEST(Manifest, NamesAreFitForPaths) {
  for (const char* name : {"driver", "version", "kernelRelease", "architecture"}) {
    for (const char* value : {"", "..", "a/b", "a b", "a\nb", "\x1b[2J"}) {
      EXPECT_EQ(edited([&](OrderedJson& object) { object[name] = value; }), "invalid_input") << name << " " << value;
    }
  }
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"][0]["name"] = "../x"; }), "invalid_input");
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"][0]["depends"] = {"a b"}; }), "invalid_input");
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"][0]["depends"] = {1}; }), "invalid_input");
}

TEST(Manifest, ModulePathsStayInTheImage) {
  for (const char* path : {"", "/usr/x.ko", "../x.ko", "usr/../../x.ko", "usr//x.ko", "usr/x.ko/"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["modules"][0]["path"] = path; }), "invalid_input") << path;
  }
}

TEST(Manifest, ControlCharactersAreRefusedInFreeText) {
  for (const char* bad : {"a\nb", "a\x1b[31m", "\x7f", "tab\t", "\u00e9", "\u202e"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["license"] = bad; }), "invalid_input") << bad;
    EXPECT_EQ(edited([&](OrderedJson& object) { object["vermagic"] = bad; }), "invalid_input") << bad;
    EXPECT_EQ(edited([&](OrderedJson& object) { object["os"]["id"] = bad; }), "invalid_input") << bad;
    EXPECT_EQ(edited([&](OrderedJson& object) { object["os"]["versionId"] = bad; }), "invalid_input") << bad;
  }
  EXPECT_EQ(edited([](OrderedJson& object) { object["license"] = std::string(257, 'x'); }), "invalid_input");
  EXPECT_EQ(edited([](OrderedJson& object) { object["license"] = std::string(256, 'x'); }), "fine");
}

TEST(Manifest, HashesAreHexOfTheirLength) {
  for (const char* bad : {"", "xyz", "ABCD"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["modules"][0]["sha256"] = bad; }), "invalid_input") << bad;
    EXPECT_EQ(edited([&](OrderedJson& object) { object["modules"][0]["buildId"] = bad; }), "invalid_input") << bad;
  }
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"][0]["buildId"] = std::string(130, 'a'); }),
            "invalid_input");
}

TEST(Manifest, NumbersAreWholeAndNotNegative) {
  for (const OrderedJson& bad : {OrderedJson(-1), OrderedJson(1.5), OrderedJson("1"), OrderedJson(true)}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["created"] = bad; }), "invalid_input") << bad;
    EXPECT_EQ(edited([&](OrderedJson& object) { object["modules"][0]["size"] = bad; }), "invalid_input") << bad;
  }
}

TEST(Manifest, ModuleListIsBounded) {
  EXPECT_EQ(edited([](OrderedJson& object) { object["modules"] = OrderedJson::array(); }), "invalid_input");
  const auto with_modules = [](size_t count) {
    return edited([&](OrderedJson& object) {
      const OrderedJson one = object["modules"][0];
      object["modules"] = OrderedJson::array();
      for (size_t i = 0; i < count; ++i) object["modules"].push_back(one);
    });
  };
  EXPECT_EQ(with_modules(1000), "fine");
  EXPECT_EQ(with_modules(1001), "invalid_input");
}

TEST(Manifest, SizeAndDepthAreBounded) {
  EXPECT_EQ(verdict(parse_manifest(std::string(kMaxManifestSize + 1, ' '))), "invalid_input");
  EXPECT_EQ(verdict(parse_manifest(std::string(100, '[') + std::string(100, ']'))), "invalid_input");
}

// A module file's licence is whatever its author wrote; it must not end the program.
TEST(Manifest, BytesThatAreNotUtf8AreRefusedNotThrownAt) {
  Manifest manifest = sample_manifest();
  manifest.license = "GPL \xff\xfe";
  EXPECT_NO_THROW({ EXPECT_EQ(verdict(parse_manifest(format_manifest(manifest))), "invalid_input"); });
}

TEST(ManifestInput, IsStrictToo) {
  const std::string good = R"({"driver":"x","version":"1","os":{"id":"debian","versionId":"12"},"license":"GPL"})";
  EXPECT_EQ(must(parse_manifest_input(good)).os_id, "debian");
  EXPECT_TRUE(parse_manifest_input(R"({"driver":"x","version":"1","os":{"id":"debian","versionId":"12"}})"));
  for (const char* bad : {"", "[]", "{}", R"({"driver":"x","version":"1"})", R"({"driver":"x","version":"1","os":[]})",
                          R"({"driver":"x","version":"1","os":{"id":"debian"}})",
                          R"({"driver":"x","driver":"y","version":"1","os":{"id":"a","versionId":"b"}})",
                          R"({"driver":"x","version":"1","kernelRelease":"6","os":{"id":"a","versionId":"b"}})",
                          R"({"driver":"x","version":"1","os":{"id":"a\nID=b","versionId":"b"}})"}) {
    EXPECT_EQ(verdict(parse_manifest_input(bad)), "invalid_input") << bad;
  }
}

}  // namespace
}  // namespace driverext
