#include "sysext/manifest.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/temp_dir.hpp"
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

constexpr Kind kKinds[] = {Kind::modules, Kind::userland, Kind::complete, Kind::source, Kind::builder};

// With everything that a manifest of this kind can say.
Manifest full_manifest(Kind kind) {
  Manifest manifest = manifest_of(kind);
  manifest.flavor = "open";
  if (kind == Kind::modules) manifest.userland = "1.0";
  manifest.source_sha256 = std::string(64, 'c');
  if (manifest.has_userland()) manifest.firmware = {"testcam/gsp_a.bin", "testcam/gsp_b.bin"};
  if (!manifest.is_loadable()) return manifest;
  manifest.toolchain = "GCC: (Debian 14.2.0-19) 14.2.0";
  manifest.built_from = {std::string(64, 'd'), std::string(64, 'e')};
  ModuleRecord& record = manifest.modules.front();
  record.version = "1.2-rc3";
  record.srcversion = "BC43B0AB13D434BA11C7B0C";
  record.license = "Dual MIT/GPL";
  record.signature_key_id = "44:1b:ac:9f";
  record.softdeps_pre = {"crypto-crc32c"};
  record.softdeps_post = {"testsound"};
  record.aliases = {"pci:v000010DEd*sv*sd*bc03sc02i00*", "char-major-81-*"};
  record.firmware = {"testcam/gsp_*.bin"};
  record.parameters = {{"debug", "int", "how much to say"}, {"devices", "array of charp", ""}, {"old", "", ""}};
  record.imports = {{"kfree", 7}, {"module_layout", 0xd0c1b2a3}};
  record.exports = {"testcam_open"};
  return manifest;
}

TEST(Manifest, EveryKindRoundTripsToTheSameBytes) {
  for (const Kind kind : kKinds) {
    const std::string text = format_manifest(manifest_of(kind));
    const Manifest read = must(parse_manifest(text));
    EXPECT_EQ(read.kind, kind);
    EXPECT_EQ(format_manifest(read), text) << kind_name(kind);
    EXPECT_EQ(must(kind_of_name(kind_name(kind))), kind);
  }
}

TEST(Manifest, AllThatItCanSayRoundTripsToTheSameBytes) {
  for (const Kind kind : kKinds) {
    const std::string text = format_manifest(full_manifest(kind));
    EXPECT_EQ(format_manifest(must(parse_manifest(text))), text) << kind_name(kind);
    std::vector<std::string> members;
    const OrderedJson object = OrderedJson::parse(text);
    for (const auto& item : object.items()) members.push_back(item.key());
    const auto known = manifest_members(kind);
    EXPECT_EQ(members, std::vector<std::string>(known.begin(), known.end())) << kind_name(kind);
  }
  const OrderedJson module = OrderedJson::parse(format_manifest(full_manifest(Kind::modules)))["modules"][0];
  std::vector<std::string> members;
  for (const auto& item : module.items()) members.push_back(item.key());
  EXPECT_EQ(members, std::vector<std::string>(kModuleMembers.begin(), kModuleMembers.end()));
  EXPECT_EQ(module["imports"].dump(), R"({"kfree":"0x00000007","module_layout":"0xd0c1b2a3"})");
}

// Two ways to say nothing would be two manifests that mean the same.
TEST(Manifest, WhatIsThereIsNotEmpty) {
  const OrderedJson full = OrderedJson::parse(format_manifest(full_manifest(Kind::modules)));
  const auto with = [&](const OrderedJson::json_pointer& place, const OrderedJson& value) {
    OrderedJson object = full;
    object[place] = value;
    return verdict(parse_manifest(object.dump()));
  };
  for (const char* text : {"/flavor", "/userland", "/toolchain", "/modules/0/version", "/modules/0/srcversion",
                           "/modules/0/license", "/modules/0/signatureKeyId", "/modules/0/parameters/0/name",
                           "/modules/0/parameters/0/type", "/modules/0/parameters/0/description"}) {
    EXPECT_EQ(with(OrderedJson::json_pointer(text), ""), "invalid_input") << text;
    EXPECT_EQ(with(OrderedJson::json_pointer(text), 1), "invalid_input") << text;
    EXPECT_EQ(with(OrderedJson::json_pointer(text), "x\x1b"), "invalid_input") << text;
  }
  for (const char* list : {"/modules/0/aliases", "/modules/0/firmware", "/modules/0/softdeps/pre",
                           "/modules/0/softdeps/post", "/modules/0/parameters"}) {
    EXPECT_EQ(with(OrderedJson::json_pointer(list), OrderedJson::array()), "invalid_input") << list;
    EXPECT_EQ(with(OrderedJson::json_pointer(list), {""}), "invalid_input") << list;
    EXPECT_EQ(with(OrderedJson::json_pointer(list), {1}), "invalid_input") << list;
    EXPECT_EQ(with(OrderedJson::json_pointer(list), "text"), "invalid_input") << list;
  }
  for (const char* object : {"/source", "/modules/0/softdeps", "/modules/0/imports"}) {
    EXPECT_EQ(with(OrderedJson::json_pointer(object), OrderedJson::object()), "invalid_input") << object;
    EXPECT_EQ(with(OrderedJson::json_pointer(object), {{"extra", "1"}}), "invalid_input") << object;
    EXPECT_EQ(with(OrderedJson::json_pointer(object), "text"), "invalid_input") << object;
  }
  EXPECT_EQ(with(OrderedJson::json_pointer("/source/sha256"), "abc"), "invalid_input");
}

TEST(Manifest, ImportsAreSymbolsWithCrcs) {
  const auto with = [](const char* symbol, const OrderedJson& crc) {
    OrderedJson object = OrderedJson::parse(format_manifest(full_manifest(Kind::complete)));
    object["modules"][0]["imports"] = {{symbol, crc}};
    return verdict(parse_manifest(object.dump()));
  };
  EXPECT_EQ(with("_RNvCs_x.llvm$1", "0x00000000"), "fine");
  for (const char* symbol : {"", "a b", "a-b", "a\nb"})
    EXPECT_EQ(with(symbol, "0x00000000"), "invalid_input") << symbol;
  for (const char* crc : {"", "0x", "00000000", "0x0000000", "0x000000000", "0xABCDEF00", "0x0000000g", "0X00000000"}) {
    EXPECT_EQ(with("kfree", crc), "invalid_input") << crc;
  }
  EXPECT_EQ(with("kfree", 7), "invalid_input");
}

TEST(ManifestText, IsPrintableWhateverAModuleSays) {
  EXPECT_EQ(manifest_text("Dual MIT/GPL"), "Dual MIT/GPL");
  EXPECT_EQ(manifest_text("first\n\tsecond"), "first  second");
  EXPECT_EQ(manifest_text("M\xc3\xbcller \x1b[31m"), "M\\xc3\\xbcller \\x1b[31m");
  EXPECT_EQ(manifest_text(std::string(300, 'x'), 256), std::string(253, 'x') + "...");
  EXPECT_EQ(manifest_text(std::string(256, 'x'), 256), std::string(256, 'x'));
  EXPECT_EQ(manifest_text(std::string(100, '\xff'), 256).size(), 256U);
}

// docs/manifest.schema.json is what others read; the reader is what counts. Both know the same members.
class ManifestSchema : public ::testing::Test {
 protected:
  using Names = std::set<std::string>;
  static Names keys(const Json& object) {
    Names names;
    for (const auto& item : object.items()) names.insert(item.key());
    return names;
  }
  template <class List>
  static Names names(const List& list) {
    return Names(list.begin(), list.end());
  }
  static Names names(const Json& list) {
    Names names;
    for (const Json& name : list) names.insert(name.get<std::string>());
    return names;
  }
  Json schema_ = Json::parse(test::source_file("docs/manifest.schema.json"));
};

TEST_F(ManifestSchema, KnowsTheReadersMembers) {
  const Json& definitions = schema_["$defs"];
  EXPECT_EQ(keys(definitions["module"]["properties"]), names(kModuleMembers));
  EXPECT_EQ(keys(definitions["parameter"]["properties"]), names(kParameterMembers));
  EXPECT_EQ(keys(definitions["module"]["properties"]["softdeps"]["properties"]), names(kSoftdepMembers));
  EXPECT_EQ(keys(schema_["properties"]["os"]["properties"]), names(kOsMembers));
  EXPECT_EQ(keys(schema_["properties"]["source"]["properties"]), names(kSourceMembers));
  Names kinds;
  for (const Kind kind : kKinds) kinds.emplace(kind_name(kind));
  EXPECT_EQ(names(schema_["properties"]["kind"]["enum"]), kinds);
  Names all;
  for (const Kind kind : kKinds) all.merge(names(manifest_members(kind)));
  EXPECT_EQ(keys(schema_["properties"]), all);
}

TEST_F(ManifestSchema, KnowsWhichMembersEachKindHasAndNeeds) {
  for (const Kind kind : kKinds) {
    Names allowed = keys(schema_["properties"]);
    Names required = names(schema_["required"]);
    for (const Json& clause : schema_["allOf"]) {
      if (!names(clause["if"]["properties"]["kind"]["enum"]).contains(std::string(kind_name(kind)))) continue;
      required.merge(names(clause["then"].value("required", Json::array())));
      const Json properties = clause["then"].value("properties", Json::object());
      for (const auto& item : properties.items()) {
        if (item.value() == false) allowed.erase(item.key());
      }
    }
    EXPECT_EQ(allowed, names(manifest_members(kind))) << kind_name(kind);
    const OrderedJson full = OrderedJson::parse(format_manifest(full_manifest(kind)));
    for (const std::string& name : allowed) {
      OrderedJson object = full;
      object.erase(name);
      EXPECT_EQ(verdict(parse_manifest(object.dump())), required.contains(name) ? "invalid_input" : "fine")
          << kind_name(kind) << " " << name;
    }
  }
}

TEST_F(ManifestSchema, KnowsWhichMembersAModuleNeeds) {
  const OrderedJson full = OrderedJson::parse(format_manifest(full_manifest(Kind::modules)));
  const auto expect_same = [&](const Json& schema, const char* place) {
    const Names required = names(schema.value("required", Json::array()));
    for (const auto& item : schema["properties"].items()) {
      OrderedJson object = full;
      object[OrderedJson::json_pointer(place)].erase(item.key());
      EXPECT_EQ(verdict(parse_manifest(object.dump())), required.contains(item.key()) ? "invalid_input" : "fine")
          << place << " " << item.key();
    }
    EXPECT_EQ(schema["additionalProperties"], false) << place;
  };
  expect_same(schema_["$defs"]["module"], "/modules/0");
  expect_same(schema_["$defs"]["parameter"], "/modules/0/parameters/0");
  expect_same(schema_["$defs"]["module"]["properties"]["softdeps"], "/modules/0/softdeps");
  expect_same(schema_["properties"]["os"], "/os");
  expect_same(schema_["properties"]["source"], "/source");
  EXPECT_EQ(schema_["additionalProperties"], false);
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
  for (const Kind kind : {Kind::source, Kind::userland, Kind::builder}) {
    for (const char* name : {"modules", "kernelRelease", "vermagic"}) {
      EXPECT_EQ(refused(kind, name, modules[name]), "invalid_input") << kind_name(kind) << " " << name;
    }
  }
  for (const Kind kind : {Kind::userland, Kind::complete, Kind::source, Kind::builder}) {
    EXPECT_EQ(refused(kind, "userland", "1.0"), "invalid_input") << kind_name(kind);
  }
  for (const Kind kind : {Kind::modules, Kind::userland, Kind::complete, Kind::source}) {
    EXPECT_EQ(refused(kind, "kernels", builder["kernels"]), "invalid_input") << kind_name(kind);
  }
}

TEST(Manifest, KindsAreNotExchangeable) {
  for (const Kind kind : kKinds) {
    for (const Kind other : kKinds) {
      const auto shape = [](Kind each) { return std::pair(manifest_of(each).is_loadable(), each == Kind::builder); };
      const bool same_members = shape(kind) == shape(other);
      OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(kind)));
      object["kind"] = kind_name(other);
      EXPECT_EQ(verdict(parse_manifest(object.dump())), same_members ? "fine" : "invalid_input")
          << kind_name(kind) << " as " << kind_name(other);
    }
  }
}

// The policy's rules for "builder" decide who may hand a node a compiler: no builder goes by another name.
TEST(Manifest, BuilderIsTheDriverOfBuildersAndOfNothingElse) {
  for (const Kind kind : kKinds) {
    OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(kind)));
    const auto with_driver = [&](const char* driver) {
      object["driver"] = driver;
      return verdict(parse_manifest(object.dump()));
    };
    const bool is_builder = kind == Kind::builder;
    EXPECT_EQ(with_driver("builder"), is_builder ? "fine" : "invalid_input") << kind_name(kind);
    for (const char* other : {"testcam", "Builder", "builder2", "builder-", "a"}) {
      EXPECT_EQ(with_driver(other), is_builder ? "invalid_input" : "fine") << kind_name(kind) << " " << other;
    }
  }
}

TEST(Manifest, WhatItWasBuiltFromIsABoundedListOfRootHashes) {
  const auto built_from = [](const OrderedJson& value) {
    return edited([&](OrderedJson& object) { object["builtFrom"] = value; });
  };
  const std::string hash(64, 'a');
  EXPECT_EQ(built_from({hash}), "fine");
  EXPECT_EQ(built_from(std::vector<std::string>(8, hash)), "fine");
  EXPECT_EQ(built_from(std::vector<std::string>(9, hash)), "invalid_input");
  const std::vector<OrderedJson> bad = {OrderedJson::array(), hash, {1}, {""}, {hash + "a"}, {std::string(64, 'A')}};
  for (const OrderedJson& value : bad) EXPECT_EQ(built_from(value), "invalid_input") << value;
  for (const Kind kind : {Kind::userland, Kind::source, Kind::builder}) {
    OrderedJson object = OrderedJson::parse(format_manifest(manifest_of(kind)));
    object["builtFrom"] = {hash};
    EXPECT_EQ(verdict(parse_manifest(object.dump())), "invalid_input") << kind_name(kind);
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
  EXPECT_EQ(edited([](OrderedJson& object) { object["kind"] = "firmware"; }), "unsupported");
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

TEST(Manifest, CreationIsNotBeyondTheYear9999) {
  EXPECT_EQ(edited([](OrderedJson& object) { object["created"] = 253'402'300'799; }), "fine");
  for (const uint64_t bad : {uint64_t{253'402'300'800}, uint64_t{1} << 62, UINT64_MAX}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object["created"] = bad; }), "invalid_input") << bad;
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
