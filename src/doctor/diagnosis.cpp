#include "doctor/diagnosis.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/text.hpp"
#include "kernel/mount.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxListed = 4;

}  // namespace

std::string_view verdict_name(Diagnosis::Verdict verdict) {
  switch (verdict) {
    case Diagnosis::Verdict::fine:
      return "fine";
    case Diagnosis::Verdict::problem:
      return "problem";
    case Diagnosis::Verdict::unknown:
      return "unknown";
    case Diagnosis::Verdict::not_applicable:
      return "not-applicable";
  }
  return "?";
}

Diagnosis run_check(const CheckInfo& check, const DoctorInput& input) {
  Result<Diagnosis> found = check.look(input);
  Diagnosis diagnosis = found ? *std::move(found) : unknown(found.error().message());
  diagnosis.saw = printable(diagnosis.saw);
  return diagnosis;
}

Diagnosis fine(std::string saw) { return {Diagnosis::Verdict::fine, std::move(saw)}; }
Diagnosis problem(std::string saw) { return {Diagnosis::Verdict::problem, std::move(saw)}; }
Diagnosis unknown(std::string saw) { return {Diagnosis::Verdict::unknown, std::move(saw)}; }
Diagnosis not_applicable(std::string saw) { return {Diagnosis::Verdict::not_applicable, std::move(saw)}; }

std::string listed(const std::vector<std::string>& found) {
  std::string text;
  const size_t shown = std::min(found.size(), kMaxListed);
  for (size_t i = 0; i < shown; ++i) {
    if (i != 0) text += i + 1 == found.size() ? " and " : ", ";
    text += found[i];
  }
  if (found.size() > shown) text += " and " + std::to_string(found.size() - shown) + " more";
  return text;
}

Diagnosis problem_if_any(const std::vector<std::string>& found, std::string otherwise) {
  return found.empty() ? fine(std::move(otherwise)) : problem(listed(found));
}

Diagnosis without_facts(const DoctorInput& input) {
  return unknown(input.facts_error.empty() ? "the host's facts could not be read" : input.facts_error);
}

Diagnosis without_definition(const DoctorInput& input) {
  if (!input.config) return not_applicable("no driver is configured");
  return unknown(input.definition_error.empty() ? "the driver's definition could not be read" : input.definition_error);
}

bool is_there(const Dir& root, std::string_view name) {
  return static_cast<bool>(root.open_file(name, O_PATH));  // not opened: a device would notice
}

Result<std::optional<std::string>> text_of(const Dir& root, std::string_view name) {
  TRY(const std::optional<std::string> text, root.read_if_there(name, kMaxLook));
  if (!text) return std::optional<std::string>();
  return std::optional<std::string>(trim(*text));
}

std::string below_root(std::string_view absolute_path) {
  while (absolute_path.starts_with('/')) absolute_path.remove_prefix(1);
  while (absolute_path.ends_with('/')) absolute_path.remove_suffix(1);
  return std::string(absolute_path);
}

Result<std::optional<std::vector<std::string>>> mount_places(const Dir& root) {
  TRY(const std::optional<std::string> text, root.read_if_there("proc/self/mountinfo", kMaxLook));
  if (!text) return std::optional<std::vector<std::string>>();
  TRY(std::vector<std::string> places, mount_points_in(*text));
  for (std::string& place : places) place = below_root(place);
  return std::optional(std::move(places));
}

std::string status_text(const DoctorInput& input, std::string_view member) {
  if (!input.status.is_object()) return {};
  const auto found = input.status.find(member);
  return found != input.status.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_provisioned(const DoctorInput& input) { return status_text(input, "outcome") == "provisioned"; }

bool is_loaded(const Facts& facts, std::string_view module) {
  const std::string name = module_name_form(module);
  return std::find(facts.loaded_modules.begin(), facts.loaded_modules.end(), name) != facts.loaded_modules.end();
}

bool driver_runs(const DoctorInput& input) {
  return input.facts && input.definition && !input.definition->modules.empty() &&
         is_loaded(*input.facts, input.definition->modules.front().name);
}

Result<std::string> loaded_version(const Dir& root, const std::string& module) {
  TRY(const auto version, text_of(root, "sys/module/" + module_name_form(module) + "/version"));
  return version.value_or("");
}

Result<std::optional<Manifest>> active_manifest(const DoctorInput& input) {
  const std::string root_hash = status_text(input, "rootHash");
  if (!check_name("root hash", root_hash)) return std::optional<Manifest>();
  const std::string name = "run/driverext/mounts/" + root_hash + "/" + std::string(kManifestPath);
  TRY(const auto text, input.root.read_if_there(name, kMaxManifestSize));
  if (!text) return std::optional<Manifest>();
  TRY(Manifest manifest, parse_manifest(*text));
  return std::optional(std::move(manifest));
}

std::vector<const NodeImage*> images_for(const DoctorInput& input, std::string_view kernel_release) {
  std::vector<const NodeImage*> found;
  for (const NodeImage& image : input.images) {
    if (image.place == Place::store && input.config && image.manifest.driver == input.config->driver &&
        image.manifest.is_loadable() && image.manifest.kernel_release == kernel_release) {
      found.push_back(&image);
    }
  }
  return found;
}

}  // namespace driverext
