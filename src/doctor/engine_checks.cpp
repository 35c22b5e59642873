// What container engines are told: paths in their configuration lead somewhere.
#include "base/json.hpp"
#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "sys/toml_file.hpp"
#include "toolkit/docker_config.hpp"

namespace driverext::checks {
namespace {

constexpr const char* kDockerConfig = "etc/docker/daemon.json";

// Nothing to look at: no toolkit in the definition.
std::optional<Diagnosis> without_toolkit(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  if (!input.definition->toolkit) return not_applicable("the driver has nothing to tell container engines");
  return std::nullopt;
}

std::string member(const Json& object, const std::string& name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Containers that ask for the runtime are refused if its program is not there.
std::optional<std::string> missing_program(const Dir& root, const std::string& file, const std::string& runtime,
                                           const std::string& path) {
  if (!path.starts_with('/') || is_there(root, below_root(path))) return std::nullopt;
  return "/" + file + ": runtime " + runtime + " is " + path + ", which is not there";
}

// The runtime's table in whatever version of the file: [plugins."...".containerd.runtimes.NAME.options] BinaryName,
// [crio.runtime.runtimes.NAME] runtime_path. Only tables below one called "runtimes" count.
std::string runtime_program(const toml::table& table, const std::string& name) {
  for (const auto& [key, value] : table) {
    const toml::table* inner = value.as_table();
    if (inner == nullptr) continue;
    if (key.str() == "runtimes") {
      const toml::table* runtime = inner->get_as<toml::table>(name);
      if (runtime == nullptr) continue;
      if (const auto path = (*runtime)["runtime_path"].value<std::string>()) return *path;
      if (const auto path = (*runtime)["options"]["BinaryName"].value<std::string>()) return *path;
      continue;
    }
    std::string found = runtime_program(*inner, name);
    if (!found.empty()) return found;
  }
  return {};
}

Result<std::vector<std::string>> engine_files(const Dir& root) {
  std::vector<std::string> files = {"etc/containerd/config.toml", "etc/crio/crio.conf"};
  for (const std::string folder : {"etc/containerd/conf.d", "etc/crio/crio.conf.d"}) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (name.ends_with(".toml") || name.ends_with(".conf")) files.push_back(folder + "/" + name);
    }
  }
  return files;
}

}  // namespace

Result<Diagnosis> toolkit_root(const DoctorInput& input) {
  if (auto nothing = without_toolkit(input)) return *std::move(nothing);
  const DefinedToolkit& toolkit = *input.definition->toolkit;
  if (toolkit.config_file.empty()) return not_applicable("the driver has no toolkit of its own");
  TRY(const auto text, input.root.read_if_there(toolkit.config_file, kMaxLook));
  if (!text) return not_applicable("there is no /" + toolkit.config_file);
  const Result<toml::table> table = parse_toml(*text, "/" + toolkit.config_file);
  if (!table) return problem(table.error().message());
  const auto value = (*table)[toolkit.config_table][toolkit.config_key].value<std::string>();
  if (!value || below_root(*value).empty()) return fine("/" + toolkit.config_file + " leaves the driver root at /");
  const Result<std::vector<std::string>> inside = input.root.list(below_root(*value));
  if (inside && !inside->empty()) return fine("/" + toolkit.config_file + " has the driver root at " + *value);
  return problem("/" + toolkit.config_file + " has the driver root at " + *value + ", where nothing is");
}

Result<Diagnosis> docker_runtime(const DoctorInput& input) {
  if (auto nothing = without_toolkit(input)) return *std::move(nothing);
  const DefinedToolkit& toolkit = *input.definition->toolkit;
  TRY(const auto text, input.root.read_if_there(kDockerConfig, kMaxLook));
  if (!text || trim(*text).empty()) return not_applicable(std::string("there is no /") + kDockerConfig);
  // By the reader that accepts what dockerd accepts; what it would write is not looked at.
  const Result<std::string> accepted = with_docker_runtime(*text, "driverext-doctor", "/driverext-doctor");
  if (!accepted) return problem(accepted.error().message());
  const Json parsed = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return unknown(std::string("/") + kDockerConfig + " could not be read");
  const Json runtimes = parsed.contains("runtimes") ? parsed["runtimes"] : Json::object();
  const std::string by_default = member(parsed, "default-runtime");
  std::vector<std::string> wrong;
  const std::string& name = toolkit.runtime_name;
  if (!name.empty() && runtimes.is_object() && runtimes.contains(name)) {
    const auto missing = missing_program(input.root, kDockerConfig, name, member(runtimes[name], "path"));
    if (missing) wrong.push_back(*missing);
  } else if (!name.empty() && by_default == name) {
    wrong.push_back(std::string("/") + kDockerConfig + ": the default runtime " + name + " is not among the runtimes");
  }
  return problem_if_any(wrong, std::string("/") + kDockerConfig + " names nothing that is missing");
}

Result<Diagnosis> engine_runtimes(const DoctorInput& input) {
  if (auto nothing = without_toolkit(input)) return *std::move(nothing);
  const std::string& name = input.definition->toolkit->runtime_name;
  if (name.empty()) return not_applicable("the driver has no runtime for container engines");
  TRY(const std::vector<std::string> files, engine_files(input.root));
  std::vector<std::string> wrong;
  bool any = false;
  for (const std::string& file : files) {
    TRY(const auto text, input.root.read_if_there(file, kMaxLook));
    if (!text) continue;
    any = true;
    const Result<toml::table> table = parse_toml(*text, "/" + file);
    if (!table) {
      wrong.push_back(table.error().message());
      continue;
    }
    const auto missing = missing_program(input.root, file, name, runtime_program(*table, name));
    if (missing) wrong.push_back(*missing);
  }
  if (!any) return not_applicable("neither containerd nor CRI-O is configured");
  return problem_if_any(wrong, "what containerd and CRI-O are configured to run is there");
}

}  // namespace driverext::checks
