// Manifests, and what a person writes to build one.
#include <algorithm>

#include "base/text.hpp"
#include "sysext/manifest.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

void check_module(const ModuleRecord& module) {
  require(!module.path.starts_with('/'));
  for (const std::string& part : split(module.path, '/')) require(!part.empty() && part.front() != '.');
  require(is_printable(module.version) && is_printable(module.license) && is_printable(module.signature_key_id));
  for (const auto* list : {&module.aliases, &module.firmware, &module.softdeps_pre, &module.softdeps_post}) {
    for (const std::string& text : *list) require(!text.empty() && is_printable(text));
  }
  for (const ParameterRecord& parameter : module.parameters) {
    require(!parameter.name.empty() && is_printable(parameter.name) && is_printable(parameter.description));
  }
  for (const auto& [symbol, crc] : module.imports) require(!symbol.empty() && symbol.find(' ') == std::string::npos);
}

void run(std::string_view input) {
  require(is_printable(manifest_text(input)));
  require(manifest_text(input, 16).size() <= 16);
  (void)parse_manifest_input(input);
  const auto manifest = parse_manifest(input);
  if (!manifest) return;
  require(manifest->is_loadable() == !manifest->modules.empty());
  require((manifest->kind == Kind::builder) == !manifest->kernels.empty());
  require((manifest->kind == Kind::builder) == (manifest->driver == kBuilderDriver));
  require(manifest->built_from.size() <= 8 && (manifest->is_loadable() || manifest->built_from.empty()));
  for (const std::string& hash : manifest->built_from) require(hash.size() == 64);
  for (const std::string& kernel : manifest->kernels) require(kernel.find('/') == std::string::npos);
  for (const ModuleRecord& module : manifest->modules) check_module(module);
  const std::string text = format_manifest(*manifest);
  const auto again = parse_manifest(text);
  require(again && format_manifest(*again) == text);
}

std::vector<std::string> seeds() { return {}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(manifest, driverext::fuzz::run, driverext::fuzz::seeds)
