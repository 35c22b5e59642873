// CDI specs: one for the driver, and of this driver.
//
// Specs of other makers are YAML, which nothing here reads: their lines are looked at, which is enough for the keys
// that are asked for, since those are plain scalars in every spec that a generator writes.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

// Both are read by every engine; a device in the second takes the place of one in the first.
constexpr const char* kSpecFolders[] = {"etc/cdi", "run/cdi"};

struct SpecFile {
  std::string name;
  std::string text;
};

// The values of `key:` in JSON or block YAML, a line or a member each.
std::vector<std::string> values_of(std::string_view text, std::string_view key) {
  std::vector<std::string> values;
  for (size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    const bool is_quoted = at != 0 && text[at - 1] == '"';
    const char before = at == 0 ? '\n' : text[at - 1];
    if (before != '"' && before != ' ' && before != '\n' && before != '\t') continue;
    size_t rest = at + key.size();
    if (is_quoted && rest < text.size() && text[rest] == '"') ++rest;
    if (rest >= text.size() || text[rest] != ':') continue;
    const std::string_view line = text.substr(rest + 1, text.find('\n', rest) - rest - 1);
    std::string_view value = trim(line);
    if (value.starts_with('"') || value.starts_with('\'')) {
      value = value.substr(1, value.find(value.front(), 1) - 1);
    } else {
      value = trim(value.substr(0, value.find_first_of(",}#")));
    }
    values.emplace_back(value);
  }
  return values;
}

Result<std::vector<SpecFile>> specs_of_kind(const Dir& root, const std::string& kind) {
  std::vector<SpecFile> specs;
  for (const std::string folder : kSpecFolders) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (!name.ends_with(".yaml") && !name.ends_with(".json")) continue;  // as the engines' loader
      const std::string file = folder + "/" + name;
      TRY(const auto text, root.read_if_there(file, kMaxLook));
      if (!text) continue;
      const std::vector<std::string> kinds = values_of(*text, "kind");
      if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) specs.push_back({file, *text});
    }
  }
  return specs;
}

// Why nothing can be said of specs; else nothing.
std::optional<Diagnosis> without_cdi(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  const auto& toolkit = input.definition->toolkit;
  if (!toolkit || toolkit->cdi_kind.empty()) return not_applicable("the driver has no CDI spec");
  return std::nullopt;
}

bool is_wanted(const Config& config) {
  return !config.toolkit ||
         std::find(config.toolkit->begin(), config.toolkit->end(), kToolkitCdi) != config.toolkit->end();
}

}  // namespace

Result<Diagnosis> cdi_spec(const DoctorInput& input) {
  if (auto nothing = without_cdi(input)) return *std::move(nothing);
  if (!is_provisioned(input) || !is_wanted(*input.config)) return not_applicable("no CDI spec is wanted now");
  TRY(const auto manifest, active_manifest(input));
  const bool has_userland = (manifest && manifest->has_userland()) || input.status.contains("userland");
  if (!has_userland) return not_applicable("the image has no user libraries");
  const std::string& file = input.definition->toolkit->cdi_file;
  if (is_there(input.root, file)) return fine("/" + file + " is there");
  return problem("/" + file + " is gone, though the driver is provisioned");
}

Result<Diagnosis> cdi_duplicates(const DoctorInput& input) {
  if (auto nothing = without_cdi(input)) return *std::move(nothing);
  const std::string& kind = input.definition->toolkit->cdi_kind;
  TRY(const std::vector<SpecFile> specs, specs_of_kind(input.root, kind));
  if (specs.size() < 2) return fine("at most one spec is of kind " + kind);
  std::vector<std::string> names;
  names.reserve(specs.size());
  for (const SpecFile& spec : specs) names.push_back("/" + spec.name);
  return problem(listed(names) + " are all of kind " + kind);
}

// A spec that was made for another version of the driver names libraries that are gone.
Result<Diagnosis> cdi_files(const DoctorInput& input) {
  if (auto nothing = without_cdi(input)) return *std::move(nothing);
  TRY(const std::vector<SpecFile> specs, specs_of_kind(input.root, input.definition->toolkit->cdi_kind));
  if (specs.empty()) return not_applicable("there is no spec of kind " + input.definition->toolkit->cdi_kind);
  std::vector<std::string> wrong;
  for (const SpecFile& spec : specs) {
    const std::vector<std::string> host_paths = values_of(spec.text, "hostPath");
    std::set<std::string> paths(host_paths.begin(), host_paths.end());
    for (std::string& path : values_of(spec.text, "path")) {
      // In the container; on the host it may have another place.
      const bool is_elsewhere = std::any_of(host_paths.begin(), host_paths.end(),
                                            [&](const std::string& host_path) { return host_path.ends_with(path); });
      if (path.starts_with("/dev/") && !is_elsewhere) paths.insert(std::move(path));
    }
    for (const std::string& path : paths) {
      if (path.starts_with('/') && !is_there(input.root, below_root(path))) {
        wrong.push_back("/" + spec.name + " names " + path + ", which is not there");
      }
    }
  }
  return problem_if_any(wrong, "all that the spec names is there");
}

}  // namespace driverext::checks
