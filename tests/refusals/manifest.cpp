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

Refusal member(const std::string& name, const char* key, const OrderedJson& value, const std::string& says) {
  return edited(
      name, [=](OrderedJson& object) { object[key] = value; }, says);
}

std::string quoted(const std::string& word) { return "\"" + word + "\""; }

std::string not_a_name(const std::string& what) { return what + " is not a usable name"; }

// An otherwise good manifest with this text where its licence stands.
std::string with_license(const std::string& value) {
  std::string manifest = good().dump();
  const std::string member = "\"license\":";
  const size_t begin = manifest.find(member) + member.size();
  return manifest.replace(begin, manifest.find(',', begin) - begin, value);
}

Refusal without(const char* key) {
  return edited(
      std::string("without-") + key, [=](OrderedJson& object) { object.erase(key); }, quoted(key));
}

Refusal module(const std::string& name, const char* key, const OrderedJson& value, const std::string& says) {
  return edited(
      name, [=](OrderedJson& object) { object["modules"][0][key] = value; }, says);
}

// The first place of a text doubled: a member that is there twice.
Refusal doubled(const std::string& name, const std::string& place) {
  const std::string key = place.substr(0, place.find(':'));
  return text(
      name,
      [place] {
        std::string manifest = good().dump();
        return manifest.insert(manifest.find(place), place + ",");
      },
      "member " + key + " stands there twice");
}

}  // namespace

std::vector<Refusal> manifest_refusals() {
  std::vector<Refusal> rows = {
      text(
          "empty", [] { return ""; }, "not JSON at byte"),
      text(
          "not-json", [] { return "driver=testcam\n"; }, "not JSON at byte"),
      text(
          "json-list", [] { return "[]"; }, "not a JSON object"),
      text(
          "cut", [] { return good().dump().substr(0, 200); }, "not JSON at byte"),
      text(
          "nested-too-deep", [] { return with_license(std::string(1'000, '[') + std::string(1'000, ']')); },
          "nested more than"),
      text(
          "not-utf-8", [] { return with_license("\"GPL\xff\""); }, "not JSON at byte"),
      text(
          "with-text-behind-it", [] { return good().dump() + "x"; }, "not JSON at byte"),
      text(
          "with-nul-behind-it", [] { return good().dump() + std::string(1, '\0'); }, "NUL"),
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
          "member \"driver\" stands there twice"),
      member("of-format-2", "format", 2, "manifest format 2 is not handled"),
      member("of-format-0", "format", 0, "manifest format 0 is not handled"),
      member("format-as-text", "format", "1", "member \"format\" is not a whole number"),
      member("of-unknown-kind", "kind", "firmware", "images of kind \"firmware\""),
      member("unknown-member", "trusted", true, "unknown member \"trusted\""),
      member("driver-that-climbs", "driver", "../../etc", not_a_name("driver \"../../etc\"")),
      member("driver-empty", "driver", "", not_a_name("driver \"\"")),
      member("driver-with-nul", "driver", std::string("test\0cam", 8), "driver \"test"),
      member("driver-with-newline", "driver", "test\ncam", "driver \"test"),
      member("driver-too-long", "driver", std::string(5'000, 'a'), "driver \"aaaa"),
      // Else the policy's rules for builders would not be asked about it.
      text(
          "builder-by-another-name", [] { return format_manifest(sample_manifest({.kind = Kind::builder})); },
          "the driver of a builder image is \"builder\""),
      member("modules-by-the-name-of-builders", "driver", "builder", "the driver of a builder image is \"builder\""),
      member("built-from-what-is-no-root-hash", "builtFrom", {"abcd"}, "builtFrom root hash is not 64 hex digits"),
      member("version-with-slash", "version", "1/0", not_a_name("version \"1/0\"")),
      member("kernel-release-that-climbs", "kernelRelease", "../6.1", not_a_name("kernel release \"../6.1\"")),
      member("vermagic-with-escape-sequence", "vermagic", "6.1 \x1b[2J", "vermagic is longer than"),
      member("licence-too-long", "license", std::string(5'000, 'a'), "license is longer than"),
      member("created-before-1970", "created", -1, "member \"created\" is not a whole number"),
      member("created-as-fraction", "created", 1.5, "member \"created\" is not a whole number"),
      member("created-beyond-64-bits", "created", 1e30, "member \"created\" is not a whole number"),
      member("architecture-as-number", "architecture", 64, "member \"architecture\" is not a string"),
      member("os-as-text", "os", "debian", "not a JSON object"),
      edited(
          "os-with-unknown-member", [](OrderedJson& object) { object["os"]["like"] = "x"; }, "unknown member \"like\""),
      edited(
          "os-without-id", [](OrderedJson& object) { object["os"].erase("id"); }, "member \"id\" is missing"),
      edited(
          "os-without-version", [](OrderedJson& object) { object["os"].erase("versionId"); },
          "member \"versionId\" is missing"),
      member("modules-empty", "modules", OrderedJson::array(), "\"modules\" is not a list of 1"),
      member("modules-not-a-list", "modules", "testcam", "\"modules\" is not a list of 1"),
      module("module-unknown-member", "signedBy", "me", "unknown member \"signedBy\""),
      module("module-name-that-climbs", "name", "../x", not_a_name("module name \"../x\"")),
      module("module-path-absolute", "path", "/usr/lib/modules/x.ko", "module path"),
      module("module-path-that-climbs", "path", "usr/../../x.ko", "module path"),
      module("module-path-empty", "path", "", "module path"),
      module("module-size-negative", "size", -5, "member \"size\" is not a whole number"),
      module("module-digest-short", "sha256", "abcd", "module sha256 is not 64 hex digits"),
      module("module-digest-in-capitals", "sha256", std::string(64, 'A'), "module sha256 is not 64 hex digits"),
      module("module-build-id-not-hex", "buildId", "xyz", "buildId of module testcam"),
      module("module-depends-not-a-list", "depends", "testcore", "\"depends\" of module testcam is not a list"),
      module("module-depends-on-a-path", "depends", {"/bin/sh"}, not_a_name("dependency \"/bin/sh\"")),
  };
  for (const char* name : {"format", "driver", "version", "kind", "kernelRelease", "vermagic", "architecture", "os",
                           "license", "created", "modules"}) {
    rows.push_back(without(name));
  }
  return rows;
}

}  // namespace driverext::test
