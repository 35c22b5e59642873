#include "sysext/module_record.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "sysext/manifest_member.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxSymbol = 512;  // the kernel's KSYM_NAME_LEN
constexpr size_t kCrcSize = 10;     // "0x1234abcd"

bool is_symbol(std::string_view name) {
  return !name.empty() && name.size() <= kMaxSymbol && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '$';
  });
}

Result<std::vector<std::string>> parse_depends(const Json& object, const std::string& module) {
  std::vector<std::string> names;
  if (!object.contains("depends") || !object["depends"].is_array() || object["depends"].size() > kMaxModules) {
    return make_error(Errc::invalid_input, "\"depends\" of module " + module + " is not a list");
  }
  for (const Json& name : object["depends"]) {
    if (!name.is_string()) return make_error(Errc::invalid_input, "\"depends\" holds something else than names");
    names.push_back(name.get<std::string>());
    TRY_VOID(check_name("dependency", names.back()));
  }
  return names;
}

Result<void> parse_softdeps(const Json& object, ModuleRecord& record) {
  if (!object.contains("softdeps")) return {};
  TRY_VOID(only_members(object["softdeps"], kSoftdepMembers));
  TRY(record.softdeps_pre, optional_texts(object["softdeps"], "pre"));
  TRY(record.softdeps_post, optional_texts(object["softdeps"], "post"));
  if (!record.softdeps_pre.empty() || !record.softdeps_post.empty()) return {};
  return make_error(Errc::invalid_input, "\"softdeps\" of module " + record.name + " is empty");
}

Result<void> parse_parameters(const Json& object, ModuleRecord& record) {
  if (!object.contains("parameters")) return {};
  TRY(const Json* list, filled_list(object, "parameters", kMaxEntries));
  for (const Json& entry : *list) {
    TRY_VOID(only_members(entry, kParameterMembers));
    ParameterRecord parameter;
    TRY(parameter.name, json_string(entry, "name"));
    if (parameter.name.empty())
      return make_error(Errc::invalid_input, "a parameter of " + record.name + " has no name");
    TRY_VOID(check_text("parameter name", parameter.name));
    TRY(parameter.type, optional_text(entry, "type"));
    TRY(parameter.description, optional_text(entry, "description", kMaxLongText));
    record.parameters.push_back(std::move(parameter));
  }
  return {};
}

Result<void> parse_imports(const Json& object, ModuleRecord& record) {
  if (!object.contains("imports")) return {};
  const Json& imports = object["imports"];
  if (!imports.is_object() || imports.empty() || imports.size() > kMaxEntries) {
    return make_error(Errc::invalid_input, "\"imports\" of module " + record.name + " is not an object of 1 to " +
                                               std::to_string(kMaxEntries) + " symbols");
  }
  for (const auto& item : imports.items()) {
    const std::string crc = item.value().is_string() ? item.value().get<std::string>() : "";
    const bool is_crc = crc.size() == kCrcSize && crc.starts_with("0x") && from_hex(crc.substr(2));
    if (!is_symbol(item.key()) || !is_crc) {
      return make_error(Errc::invalid_input,
                        "\"imports\" of module " + record.name +
                            " holds something else than a symbol and its CRC, as in \"0x1234abcd\"");
    }
    std::from_chars(crc.data() + 2, crc.data() + crc.size(), record.imports[item.key()], 16);
  }
  return {};
}

Result<void> parse_exports(const Json& object, ModuleRecord& record) {
  if (!object.contains("exports")) return {};
  TRY(const Json* list, filled_list(object, "exports", kMaxEntries));
  for (const Json& entry : *list) {
    if (!entry.is_string() || !is_symbol(entry.get_ref<const std::string&>())) {
      return make_error(Errc::invalid_input,
                        "\"exports\" of module " + record.name + " holds something else than symbols");
    }
    record.exports.push_back(entry.get<std::string>());
  }
  return {};
}

std::string crc_text(uint32_t crc) {
  std::array<char, kCrcSize + 1> text{};
  std::snprintf(text.data(), text.size(), "0x%08x", crc);
  return text.data();
}

}  // namespace

Result<ModuleRecord> parse_module_record(const Json& object) {
  TRY_VOID(only_members(object, kModuleMembers));
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
  TRY(record.version, optional_text(object, "version"));
  TRY(record.srcversion, optional_text(object, "srcversion"));
  TRY(record.license, optional_text(object, "license"));
  TRY(record.signature_key_id, optional_text(object, "signatureKeyId"));
  TRY(record.depends, parse_depends(object, record.name));
  TRY_VOID(parse_softdeps(object, record));
  TRY(record.aliases, optional_texts(object, "aliases"));
  TRY(record.firmware, optional_texts(object, "firmware"));
  TRY_VOID(parse_parameters(object, record));
  TRY_VOID(parse_imports(object, record));
  TRY_VOID(parse_exports(object, record));
  return record;
}

OrderedJson format_module_record(const ModuleRecord& record) {
  OrderedJson object = {{"name", record.name},
                        {"path", record.path},
                        {"size", record.size},
                        {"sha256", record.sha256},
                        {"buildId", record.build_id}};
  const auto add = [](OrderedJson& into, const char* member, const auto& value) {
    if (!value.empty()) into[member] = value;
  };
  add(object, "version", record.version);
  add(object, "srcversion", record.srcversion);
  add(object, "license", record.license);
  add(object, "signatureKeyId", record.signature_key_id);
  object["depends"] = record.depends;
  OrderedJson softdeps = OrderedJson::object();
  add(softdeps, "pre", record.softdeps_pre);
  add(softdeps, "post", record.softdeps_post);
  add(object, "softdeps", softdeps);
  add(object, "aliases", record.aliases);
  add(object, "firmware", record.firmware);
  OrderedJson parameters = OrderedJson::array();
  for (const ParameterRecord& parameter : record.parameters) {
    OrderedJson entry = {{"name", parameter.name}};
    add(entry, "type", parameter.type);
    add(entry, "description", parameter.description);
    parameters.push_back(std::move(entry));
  }
  add(object, "parameters", parameters);
  std::map<std::string, std::string> imports;
  for (const auto& [symbol, crc] : record.imports) imports.emplace(symbol, crc_text(crc));
  add(object, "imports", imports);
  add(object, "exports", record.exports);
  return object;
}

}  // namespace driverext
