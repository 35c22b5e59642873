#include "sysext/manifest.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "sysext/manifest_member.hpp"

namespace driverext {
namespace {

constexpr uint64_t kFormat = 1;
constexpr uint64_t kLastSecond = 253'402'300'799;  // of the year 9999: fits every type that holds a time
constexpr std::array<std::string_view, 5> kKindNames = {"modules", "userland", "complete", "source", "builder"};

Result<void> parse_built_from(const Json& object, Manifest& manifest) {
  TRY(const Json* images, filled_list(object, "builtFrom", kMaxBuiltFrom));
  for (const Json& entry : *images) {
    if (!entry.is_string())
      return make_error(Errc::invalid_input, "\"builtFrom\" holds something else than root hashes");
    manifest.built_from.push_back(entry.get<std::string>());
    TRY_VOID(check_hex("builtFrom root hash", manifest.built_from.back(), 64));
  }
  return {};
}

Result<void> parse_loadable(const Json& object, Manifest& manifest) {
  TRY(manifest.kernel_release, json_string(object, "kernelRelease"));
  TRY_VOID(check_name("kernel release", manifest.kernel_release));
  TRY(manifest.vermagic, json_string(object, "vermagic"));
  TRY_VOID(check_text("vermagic", manifest.vermagic));
  TRY(manifest.toolchain, optional_text(object, "toolchain", kMaxLongText));
  if (object.contains("builtFrom")) TRY_VOID(parse_built_from(object, manifest));
  TRY(const Json* modules, filled_list(object, "modules", kMaxModules));
  for (const Json& entry : *modules) {
    TRY(ModuleRecord record, parse_module_record(entry));
    manifest.modules.push_back(std::move(record));
  }
  return {};
}

Result<void> parse_kernels(const Json& object, Manifest& manifest) {
  TRY(const Json* kernels, filled_list(object, "kernels", kMaxModules));
  for (const Json& entry : *kernels) {
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

std::vector<std::string_view> manifest_members(Kind kind) {
  const bool loadable = kind == Kind::modules || kind == Kind::complete;
  std::vector<std::string_view> members = {"format", "driver", "version", "flavor", "kind"};
  const auto add = [&](std::initializer_list<std::string_view> more) {
    members.insert(members.end(), more.begin(), more.end());
  };
  if (kind == Kind::modules) add({"userland"});
  if (loadable) add({"kernelRelease", "vermagic"});
  if (kind == Kind::builder) add({"kernels"});
  add({"architecture", "os", "license", "created"});
  if (loadable) add({"toolchain"});
  add({"source"});
  if (kind == Kind::complete || kind == Kind::userland) add({"firmware"});
  if (loadable) add({"builtFrom", "modules"});
  return members;
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
  TRY_VOID(only_members(object, manifest_members(manifest.kind)));
  TRY(manifest.driver, json_string(object, "driver"));
  TRY_VOID(check_name("driver", manifest.driver));
  // Else a builder named after a driver would be judged by the policy's rules for that driver, or by those for none.
  if ((manifest.kind == Kind::builder) != (std::string_view(manifest.driver) == kBuilderDriver)) {
    return make_error(Errc::invalid_input,
                      "the driver of a builder image is \"builder\", and that of no other image; this " + kind +
                          " image says \"" + manifest.driver + "\"");
  }
  TRY(manifest.version, json_string(object, "version"));
  TRY_VOID(check_name("version", manifest.version));
  TRY(manifest.flavor, optional_name(object, "flavor"));
  TRY(manifest.userland, optional_name(object, "userland"));
  TRY(manifest.architecture, json_string(object, "architecture"));
  TRY_VOID(check_name("architecture", manifest.architecture));
  TRY(manifest.license, json_string(object, "license"));
  TRY_VOID(check_text("license", manifest.license));
  TRY(manifest.created, json_number(object, "created"));
  if (manifest.created > kLastSecond) return make_error(Errc::invalid_input, "\"created\" is beyond the year 9999");
  if (!object.contains("os")) return make_error(Errc::invalid_input, "member \"os\" is missing");
  TRY_VOID(only_members(object["os"], kOsMembers));
  TRY(manifest.os_id, json_string(object["os"], "id"));
  TRY(manifest.os_version_id, json_string(object["os"], "versionId"));
  TRY_VOID(check_text("os id", manifest.os_id));
  TRY_VOID(check_text("os versionId", manifest.os_version_id));
  // Modules are for one kernel, and so for one OS; systemd would merge them into every one.
  if (manifest.os_id == kAnyOs && manifest.is_loadable()) {
    return make_error(Errc::invalid_input, "modules are not for any OS: state the OS whose kernel they are for");
  }
  if (object.contains("source")) {
    TRY_VOID(only_members(object["source"], kSourceMembers));
    TRY(manifest.source_sha256, json_string(object["source"], "sha256"));
    TRY_VOID(check_hex("source sha256", manifest.source_sha256, 64));
  }
  TRY(manifest.firmware, optional_texts(object, "firmware"));
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
  if (!manifest.toolchain.empty()) object["toolchain"] = manifest.toolchain;
  if (!manifest.source_sha256.empty()) object["source"] = {{"sha256", manifest.source_sha256}};
  if (!manifest.firmware.empty()) object["firmware"] = manifest.firmware;
  if (manifest.is_loadable()) {
    if (!manifest.built_from.empty()) object["builtFrom"] = manifest.built_from;
    object["modules"] = OrderedJson::array();
    for (const ModuleRecord& record : manifest.modules) object["modules"].push_back(format_module_record(record));
  }
  // Whoever fills in a manifest can put any bytes there. What is not UTF-8 is replaced here, and refused by
  // parse_manifest.
  return object.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string manifest_text(std::string_view text, size_t max_size) {
  std::string safe;
  for (const char c : text) {
    if (c == '\n' || c == '\t' || c == '\r') {
      safe += ' ';
    } else if (c >= 0x20 && c < 0x7f) {
      safe += c;
    } else {
      safe += "\\x" + to_hex(as_bytes({&c, 1}));
    }
  }
  constexpr std::string_view kCut = "...";
  if (safe.size() > max_size) safe.replace(max_size - kCut.size(), std::string::npos, kCut);
  return safe;
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
  TRY_VOID(check_text("license", input.license));
  if (!object.contains("os")) return make_error(Errc::invalid_input, "member \"os\" is missing");
  TRY_VOID(only_members(object["os"], kOsMembers));
  TRY(input.os_id, json_string(object["os"], "id"));
  TRY_VOID(check_name("os id", input.os_id));
  TRY(input.os_version_id, json_optional_string(object["os"], "versionId"));
  if (input.os_id == kAnyOs && input.os_version_id.empty()) return input;
  TRY_VOID(check_name("os versionId", input.os_version_id));
  return input;
}

}  // namespace driverext
