#include "sysext/manifest.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace driverext {
namespace {

constexpr uint64_t kFormat = 1;
constexpr size_t kMaxModules = 1000;
constexpr std::array<std::string_view, 5> kKindNames = {"modules", "userland", "complete", "source", "builder"};

Result<void> check_hex(std::string_view what, std::string_view text, size_t digits) {
  if (text.size() == digits && from_hex(text)) return {};
  return make_error(Errc::invalid_input, std::string(what) + " is not " + std::to_string(digits) + " hex digits");
}

// Free text that ends up on terminals: printable ASCII only.
Result<void> check_printable(std::string_view what, std::string_view text) {
  const bool fine =
      text.size() <= 256 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (fine) return {};
  return make_error(Errc::invalid_input, std::string(what) + " is longer than 256 or not printable");
}

// A name, or nothing where the member is absent.
Result<std::string> optional_name(const Json& object, const char* member) {
  TRY(std::string name, json_optional_string(object, member));
  if (object.contains(member)) {
    TRY_VOID(check_name(member, name));
  }
  return name;
}

Result<ModuleRecord> parse_module(const Json& object) {
  TRY_VOID(only_members(object, {"name", "path", "size", "sha256", "buildId", "depends"}));
  ModuleRecord record;
  TRY(record.name, json_string(object, "name"));
  TRY_VOID(check_name("module name", record.name));
  TRY(record.path, json_string(object, "path"));
  TRY_VOID(check_relative_path("module path", record.path));
  TRY(record.size, json_number(object, "size"));
  TRY(record.sha256, json_string(object, "sha256"));
  TRY_VOID(check_hex("module sha256", record.sha256, 64));
  TRY(record.build_id, json_string(object, "buildId"));
  if (record.build_id.empty() || record.build_id.size() > 128 || !from_hex(record.build_id)) {
    return make_error(Errc::invalid_input, "buildId of module " + record.name + " is not hexadecimal");
  }
  if (!object.contains("depends") || !object["depends"].is_array() || object["depends"].size() > kMaxModules) {
    return make_error(Errc::invalid_input, "\"depends\" of module " + record.name + " is not a list");
  }
  for (const Json& name : object["depends"]) {
    if (!name.is_string()) return make_error(Errc::invalid_input, "\"depends\" holds something else than names");
    record.depends.push_back(name.get<std::string>());
    TRY_VOID(check_name("dependency", record.depends.back()));
  }
  return record;
}

Result<void> parse_loadable(const Json& object, Manifest& manifest) {
  TRY(manifest.kernel_release, json_string(object, "kernelRelease"));
  TRY_VOID(check_name("kernel release", manifest.kernel_release));
  TRY(manifest.vermagic, json_string(object, "vermagic"));
  TRY_VOID(check_printable("vermagic", manifest.vermagic));
  if (!object.contains("modules") || !object["modules"].is_array() || object["modules"].empty() ||
      object["modules"].size() > kMaxModules) {
    return make_error(Errc::invalid_input, "\"modules\" is not a list of 1 to 1000 modules");
  }
  for (const Json& entry : object["modules"]) {
    TRY(ModuleRecord record, parse_module(entry));
    manifest.modules.push_back(std::move(record));
  }
  return {};
}

Result<void> parse_kernels(const Json& object, Manifest& manifest) {
  if (!object.contains("kernels") || !object["kernels"].is_array() || object["kernels"].empty() ||
      object["kernels"].size() > kMaxModules) {
    return make_error(Errc::invalid_input, "\"kernels\" is not a list of 1 to 1000 kernel releases");
  }
  for (const Json& entry : object["kernels"]) {
    if (!entry.is_string()) return make_error(Errc::invalid_input, "\"kernels\" holds something else than names");
    manifest.kernels.push_back(entry.get<std::string>());
    TRY_VOID(check_name("kernel release", manifest.kernels.back()));
  }
  return {};
}

}  // namespace

std::string_view kind_name(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }

Result<Kind> kind_of_name(std::string_view name) {
  const auto* const found = std::find(kKindNames.begin(), kKindNames.end(), name);
  if (found == kKindNames.end()) {
    return make_error(Errc::unsupported, "images of kind \"" + std::string(name) + "\" are not handled");
  }
  return static_cast<Kind>(found - kKindNames.begin());
}

std::string extension_name(const Manifest& manifest) {
  return manifest.kind == Kind::userland ? manifest.driver + "-userland" : manifest.driver;
}

std::string source_folder(const Manifest& manifest) {
  return "usr/src/driverext/" + manifest.driver + "-" + manifest.version;
}

Result<Manifest> parse_manifest(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxManifestSize, .max_depth = 6}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format != kFormat) {
    return make_error(Errc::unsupported, "manifest format " + std::to_string(format) + " is not handled");
  }
  Manifest manifest;
  TRY(const std::string kind, json_string(object, "kind"));
  TRY(manifest.kind, kind_of_name(kind));
  if (manifest.is_loadable()) {
    TRY_VOID(only_members(object, {"format", "driver", "version", "flavor", "kind", "userland", "kernelRelease",
                                   "vermagic", "architecture", "os", "license", "created", "modules"}));
  } else if (manifest.kind == Kind::builder) {
    TRY_VOID(only_members(object, {"format", "driver", "version", "flavor", "kind", "kernels", "architecture", "os",
                                   "license", "created"}));
  } else {
    TRY_VOID(only_members(
        object, {"format", "driver", "version", "flavor", "kind", "architecture", "os", "license", "created"}));
  }
  TRY(manifest.driver, json_string(object, "driver"));
  TRY_VOID(check_name("driver", manifest.driver));
  TRY(manifest.version, json_string(object, "version"));
  TRY_VOID(check_name("version", manifest.version));
  TRY(manifest.flavor, optional_name(object, "flavor"));
  TRY(manifest.userland, optional_name(object, "userland"));
  if (!manifest.userland.empty() && manifest.kind != Kind::modules) {
    return make_error(Errc::invalid_input, "only an image of kind \"modules\" names the userland that it belongs to");
  }
  TRY(manifest.architecture, json_string(object, "architecture"));
  TRY_VOID(check_name("architecture", manifest.architecture));
  TRY(manifest.license, json_string(object, "license"));
  TRY_VOID(check_printable("license", manifest.license));
  TRY(manifest.created, json_number(object, "created"));
  if (!object.contains("os")) return make_error(Errc::invalid_input, "member \"os\" is missing");
  TRY_VOID(only_members(object["os"], {"id", "versionId"}));
  TRY(manifest.os_id, json_string(object["os"], "id"));
  TRY(manifest.os_version_id, json_string(object["os"], "versionId"));
  TRY_VOID(check_printable("os id", manifest.os_id));
  TRY_VOID(check_printable("os versionId", manifest.os_version_id));
  if (manifest.is_loadable()) TRY_VOID(parse_loadable(object, manifest));
  if (manifest.kind == Kind::builder) TRY_VOID(parse_kernels(object, manifest));
  return manifest;
}

std::string format_manifest(const Manifest& manifest) {
  OrderedJson object = {{"format", kFormat}, {"driver", manifest.driver}, {"version", manifest.version}};
  if (!manifest.flavor.empty()) object["flavor"] = manifest.flavor;
  object["kind"] = kind_name(manifest.kind);
  if (!manifest.userland.empty()) object["userland"] = manifest.userland;
  if (manifest.is_loadable()) {
    object["kernelRelease"] = manifest.kernel_release;
    object["vermagic"] = manifest.vermagic;
  }
  if (manifest.kind == Kind::builder) object["kernels"] = manifest.kernels;
  object["architecture"] = manifest.architecture;
  object["os"] = {{"id", manifest.os_id}, {"versionId", manifest.os_version_id}};
  object["license"] = manifest.license;
  object["created"] = manifest.created;
  if (manifest.is_loadable()) {
    object["modules"] = OrderedJson::array();
    for (const ModuleRecord& record : manifest.modules) {
      object["modules"].push_back({{"name", record.name},
                                   {"path", record.path},
                                   {"size", record.size},
                                   {"sha256", record.sha256},
                                   {"buildId", record.build_id},
                                   {"depends", record.depends}});
    }
  }
  // A module's licence can hold any bytes. What is not UTF-8 is replaced here, and refused by parse_manifest.
  return object.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

Result<ManifestInput> parse_manifest_input(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxManifestSize, .max_depth = 4}));
  TRY_VOID(only_members(object, {"driver", "version", "flavor", "userland", "os", "license"}));
  ManifestInput input;
  TRY(input.driver, json_string(object, "driver"));
  TRY_VOID(check_name("driver", input.driver));
  TRY(input.version, json_string(object, "version"));
  TRY_VOID(check_name("version", input.version));
  TRY(input.flavor, optional_name(object, "flavor"));
  TRY(input.userland, optional_name(object, "userland"));
  TRY(input.license, json_optional_string(object, "license"));
  TRY_VOID(check_printable("license", input.license));
  if (!object.contains("os")) return make_error(Errc::invalid_input, "member \"os\" is missing");
  TRY_VOID(only_members(object["os"], {"id", "versionId"}));
  TRY(input.os_id, json_string(object["os"], "id"));
  TRY_VOID(check_name("os id", input.os_id));
  TRY(input.os_version_id, json_string(object["os"], "versionId"));
  TRY_VOID(check_name("os versionId", input.os_version_id));
  return input;
}

}  // namespace driverext
