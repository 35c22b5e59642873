// What the manifest says of one module.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.hpp"
#include "base/result.hpp"

namespace driverext {

struct ParameterRecord {
  std::string name;
  std::string type{};         ///< "int", "array of charp"
  std::string description{};  ///< for people
};

struct ModuleRecord {
  std::string name;  ///< as /proc/modules spells it
  std::string path;  ///< relative to the image's root
  uint64_t size = 0;
  std::string sha256;
  std::string build_id;  ///< GNU build id, hex; what /sys/module/NAME/notes shows once it is loaded
  std::vector<std::string> depends;
  // What follows can be empty.
  std::string version{};
  std::string srcversion{};  ///< modpost's digest of the module's sources
  std::string license{};
  std::string signature_key_id{};           ///< of the key that signed the module for the kernel
  std::vector<std::string> softdeps_pre{};  ///< names or aliases, as the module spells them
  std::vector<std::string> softdeps_post{};
  std::vector<std::string> aliases{};
  std::vector<std::string> firmware{};  ///< below usr/lib/firmware; can be patterns
  std::vector<ParameterRecord> parameters{};
  std::map<std::string, uint32_t> imports{};  ///< symbols of kernel and other modules → CRC
  std::vector<std::string> exports{};         ///< symbols that it offers to other modules
};

inline constexpr auto kModuleMembers = std::to_array<std::string_view>(
    {"name", "path", "size", "sha256", "buildId", "version", "srcversion", "license", "signatureKeyId", "depends",
     "softdeps", "aliases", "firmware", "parameters", "imports", "exports"});
inline constexpr auto kSoftdepMembers = std::to_array<std::string_view>({"pre", "post"});
inline constexpr auto kParameterMembers = std::to_array<std::string_view>({"name", "type", "description"});

/// Strict. Errors: Errc::invalid_input.
Result<ModuleRecord> parse_module_record(const Json& object);
OrderedJson format_module_record(const ModuleRecord& record);

}  // namespace driverext
