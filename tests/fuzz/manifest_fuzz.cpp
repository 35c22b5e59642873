// Manifests, and what a person writes to build one.
#include "base/text.hpp"
#include "sysext/manifest.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  (void)parse_manifest_input(input);
  const auto manifest = parse_manifest(input);
  if (!manifest) return;
  require(manifest->is_loadable() == !manifest->modules.empty());
  require((manifest->kind == Kind::builder) == !manifest->kernels.empty());
  for (const std::string& kernel : manifest->kernels) require(kernel.find('/') == std::string::npos);
  for (const ModuleRecord& module : manifest->modules) {
    require(!module.path.starts_with('/'));
    for (const std::string& part : split(module.path, '/')) require(!part.empty() && part.front() != '.');
  }
  const std::string text = format_manifest(*manifest);
  const auto again = parse_manifest(text);
  require(again && format_manifest(*again) == text);
}

std::vector<std::string> seeds() { return {}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(manifest, driverext::fuzz::run, driverext::fuzz::seeds)
