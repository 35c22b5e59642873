// Manifests that a trusted publisher signed, and that must not be believed all the same.
#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

OrderedJson good() { return OrderedJson::parse(format_manifest(sample_manifest())); }

std::string with_manifest(const std::string& text) {
  return with_statement(sample_bytes(), statement_about(sample_bytes(), text), publisher());
}

Refusal text(const std::string& name, std::function<std::string()> make, const std::string& says) {
  return {"should-fail-manifest-" + name, Stage::manifest, "image-malformed",
          [make = std::move(make)] { return with_manifest(make()); }, says};
}

Refusal edited(const std::string& name, const std::function<void(OrderedJson&)>& edit, const std::string& says) {
  return text(
      name,
      [edit] {
        OrderedJson object = good();
        edit(object);
        return object.dump();
      },
      says);
}

Refusal member(const std::string& name, const char* key, const OrderedJson& value) {
  return edited(
      name, [=](OrderedJson& object) { object[key] = value; }, "manifest");
}

Refusal without(const char* key) {
  return edited(
      std::string("without-") + key, [=](OrderedJson& object) { object.erase(key); }, key);
}

Refusal module(const std::string& name, const char* key, const OrderedJson& value) {
  return edited(
      name, [=](OrderedJson& object) { object["modules"][0][key] = value; }, "manifest");
}

// The first place of a text doubled: a member that is there twice.
Refusal doubled(const std::string& name, const std::string& place) {
  return text(
      name,
      [place] {
        std::string manifest = good().dump();
        return manifest.insert(manifest.find(place), place + ",");
      },
      "manifest");
}

}  // namespace

std::vector<Refusal> manifest_refusals() {
  std::vector<Refusal> rows = {
      text(
          "empty", [] { return ""; }, "manifest"),
      text(
          "not-json", [] { return "driver=testcam\n"; }, "manifest"),
      text(
          "json-list", [] { return "[]"; }, "manifest"),
      text(
          "cut", [] { return good().dump().substr(0, 200); }, "manifest"),
      text(
          "nested-too-deep", [] { return std::string(5'000, '['); }, "manifest"),
      text(
          "not-utf-8", [] { return "{\"driver\":\"\xff\"}"; }, "manifest"),
      text(
          "with-text-behind-it", [] { return good().dump() + "x"; }, "manifest"),
      text(
          "with-nul-behind-it", [] { return good().dump() + std::string(1, '\0'); }, "manifest"),
      doubled("format-twice", "\"format\":1"),
      doubled("driver-twice", "\"driver\":\"testcam\""),
      doubled("os-id-twice", "\"id\":\"debian\""),
      doubled("module-name-twice", "\"name\":\"testcam\""),
      text(
          "driver-twice-by-escape",
          [] {
            std::string manifest = good().dump();
            return manifest.insert(1, "\"\\u0064river\":\"other\",");
          },
          "manifest"),
      member("of-format-2", "format", 2),
      member("of-format-0", "format", 0),
      member("format-as-text", "format", "1"),
      member("of-unknown-kind", "kind", "firmware"),
      member("unknown-member", "trusted", true),
      member("driver-that-climbs", "driver", "../../etc"),
      member("driver-empty", "driver", ""),
      member("driver-with-nul", "driver", std::string("test\0cam", 8)),
      member("driver-with-newline", "driver", "test\ncam"),
      member("driver-too-long", "driver", std::string(5'000, 'a')),
      member("version-with-slash", "version", "1/0"),
      member("kernel-release-that-climbs", "kernelRelease", "../6.1"),
      member("vermagic-with-escape-sequence", "vermagic", "6.1 \x1b[2J"),
      member("licence-too-long", "license", std::string(5'000, 'a')),
      member("created-before-1970", "created", -1),
      member("created-as-fraction", "created", 1.5),
      member("created-beyond-64-bits", "created", 1e30),
      member("architecture-as-number", "architecture", 64),
      member("os-as-text", "os", "debian"),
      edited(
          "os-with-unknown-member", [](OrderedJson& object) { object["os"]["like"] = "x"; }, "like"),
      edited(
          "os-without-id", [](OrderedJson& object) { object["os"].erase("id"); }, "id"),
      edited(
          "os-without-version", [](OrderedJson& object) { object["os"].erase("versionId"); }, "versionId"),
      member("modules-empty", "modules", OrderedJson::array()),
      member("modules-not-a-list", "modules", "testcam"),
      module("module-unknown-member", "signedBy", "me"),
      module("module-name-that-climbs", "name", "../x"),
      module("module-path-absolute", "path", "/usr/lib/modules/x.ko"),
      module("module-path-that-climbs", "path", "usr/../../x.ko"),
      module("module-path-empty", "path", ""),
      module("module-size-negative", "size", -5),
      module("module-digest-short", "sha256", "abcd"),
      module("module-digest-in-capitals", "sha256", std::string(64, 'A')),
      module("module-build-id-not-hex", "buildId", "xyz"),
      module("module-depends-not-a-list", "depends", "testcore"),
      module("module-depends-on-a-path", "depends", {"/bin/sh"}),
  };
  for (const char* name : {"format", "driver", "version", "kind", "kernelRelease", "vermagic", "architecture", "os",
                           "license", "created", "modules"}) {
    rows.push_back(without(name));
  }
  return rows;
}

}  // namespace driverext::test
