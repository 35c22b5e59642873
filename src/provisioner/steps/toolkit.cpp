// toolkit: container engines find the driver. A CDI spec, the driver root in the vendor's toolkit configuration, a
// runtime in docker's: each written only if a byte of it changes, and people's own settings stay.
//
// What is wrong in a file that somebody else wrote holds nothing up: the driver works without it, and it is told.
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "driver/device_nodes.hpp"
#include "provisioner/steps/step.hpp"
#include "toolkit/cdi_spec.hpp"
#include "toolkit/docker_config.hpp"
#include "toolkit/toolkit_config.hpp"

namespace driverext {
namespace {

constexpr const char* kDockerConfig = "etc/docker/daemon.json";
constexpr const char* kDockerProgram = "usr/bin/dockerd";
constexpr size_t kMaxConfig = size_t{1} << 20;
constexpr mode_t kDefaultMode = 0644;
constexpr const char* kLibraryFolders[] = {"usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu",
                                           "usr/lib"};
constexpr const char* kProgramFolders[] = {"usr/bin", "usr/sbin"};

struct WantedFile {
  std::string name;  // relative to the root
  std::string text;
  mode_t mode = kDefaultMode;
  std::optional<std::string> before;
};

class ToolkitStep final : public Step {
 public:
  explicit ToolkitStep(const StepContext& context) : context_(context), toolkit_(*context.definition.toolkit) {}

  Result<Probe> probe() override {
    TRY_VOID(add_cdi());
    TRY_VOID(add_config());
    TRY_VOID(add_docker());
    const bool satisfied =
        std::all_of(wanted_.begin(), wanted_.end(), [](const WantedFile& file) { return file.before == file.text; });
    return satisfied ? Probe::satisfied : Probe::needed;
  }

  Result<void> apply() override {
    for (const WantedFile& file : wanted_) {
      if (file.before == file.text) continue;
      written_.push_back(&file);
      TRY_VOID(context_.root.write_atomic(file.name, file.text, file.mode));
    }
    return {};
  }

  Result<void> undo() override {
    Result<void> result;
    for (; !written_.empty(); written_.pop_back()) {
      const WantedFile& file = *written_.back();
      Result<void> restored;
      if (!file.before) {
        restored = context_.root.remove_file(file.name);
      } else {
        const Result<Written> written = context_.root.write_if_changed(file.name, *file.before, file.mode);
        if (!written) restored = written.error();
      }
      if (!restored && result) result = std::move(restored);
    }
    return result;
  }

  [[nodiscard]] std::string remark() const override { return remark_; }

 private:
  [[nodiscard]] bool exists(std::string_view name) const {
    const auto there = context_.root.status(name);
    return there && *there;
  }

  // Asked for by name; or nobody said anything and whoever reads it is installed.
  [[nodiscard]] bool is_wanted(std::string_view name, bool is_installed) const {
    if (!context_.config.toolkit) return is_installed;
    return std::find(context_.config.toolkit->begin(), context_.config.toolkit->end(), name) !=
           context_.config.toolkit->end();
  }

  Result<void> add(const std::string& name, std::string text, std::optional<std::string> before) {
    TRY(const auto there, context_.root.status(name));
    // A link's own mode says that everybody may write.
    const mode_t mode = there && S_ISREG(there->st_mode) ? there->st_mode & 07777U : kDefaultMode;
    wanted_.push_back({name, std::move(text), mode, std::move(before)});
    return {};
  }

  // A file that people edit: `edit` gives its new text.
  template <class Edit>
  Result<void> add_edited(const std::string& name, const Edit& edit) {
    Result<std::optional<std::string>> before = context_.root.read_if_there(name, kMaxConfig);
    if (!before) return leave_alone(name, before.error());
    Result<std::string> text = edit(before->value_or(""));
    if (!text && text.error().reason != Reason::toolkit_config_invalid) return std::move(text).error();
    if (!text) return leave_alone(name, text.error());
    TRY(const auto link, context_.root.read_link(name));
    if (link && *before != *text) {
      return leave_alone(name, make_error(Errc::conflict, Reason::toolkit_config_invalid,
                                          "it is a link to " + *link + "; add the entry there"));
    }
    return add(name, *std::move(text), *std::move(before));
  }

  Result<void> leave_alone(const std::string& name, const Error& error) {
    remark_ += (remark_.empty() ? "" : "; ") + std::string("/") + name + " was left alone (" +
               std::string(reason_info(Reason::toolkit_config_invalid).code) + "): " + error.message();
    return {};
  }

  Result<void> add_config() {
    const bool installed =
        exists(toolkit_.config_file.substr(0, toolkit_.config_file.rfind('/'))) || exists(toolkit_.runtime_path);
    if (toolkit_.config_file.empty() || !is_wanted(kToolkitConfig, installed)) return {};
    return add_edited(toolkit_.config_file, [&](const std::string& text) {
      return with_toml_string(text, toolkit_.config_table, toolkit_.config_key, "/" + context_.definition.root->path);
    });
  }

  Result<void> add_docker() {
    const bool installed = exists(toolkit_.runtime_path) && (exists(kDockerConfig) || exists(kDockerProgram));
    if (toolkit_.runtime_name.empty() || !is_wanted(kToolkitDocker, installed)) return {};
    return add_edited(kDockerConfig, [&](const std::string& text) {
      return with_docker_runtime(text, toolkit_.runtime_name, toolkit_.runtime_path);
    });
  }

  Result<void> add_cdi() {
    if (toolkit_.cdi_kind.empty() || !is_wanted(kToolkitCdi, true)) return {};
    CdiSpec spec;
    spec.kind = toolkit_.cdi_kind;
    TRY(const std::vector<ReportedNode> reported, read_reported_nodes(context_.root, context_.definition));
    for (const ReportedNode& node : reported) {
      if (!node.in_containers) continue;
      const CdiNode made = {"/" + node.path, {}, node.node.mode, node.node.owner, node.node.group};
      if (node.names.empty()) {
        spec.common_nodes.push_back(made);
      } else {
        spec.devices.push_back({node.names, {made}});
      }
    }
    for (const char* folder : kLibraryFolders) TRY_VOID(add_mounts(folder, toolkit_.libraries, spec));
    for (const char* folder : kProgramFolders) TRY_VOID(add_mounts(folder, toolkit_.programs, spec));
    TRY(std::string text, format_cdi_spec(spec));
    TRY(std::optional<std::string> before, context_.root.read_if_there(toolkit_.cdi_file, kMaxConfig));
    return add(toolkit_.cdi_file, std::move(text), std::move(before));
  }

  // What matches a pattern, and the links beside it that lead to it: programs ask for a library by its soname. They
  // have the same names in the container as here, and no hook has to run when one starts; so its loader must look where
  // this image keeps its libraries.
  Result<void> add_mounts(const std::string& folder, const std::vector<std::string>& patterns, CdiSpec& spec) {
    const std::string inside = mount_name(context_.userland->identity()) + "/" + folder;
    TRY(const std::vector<std::string> names, context_.root.list(inside));
    for (const std::string& name : names) {
      TRY(const std::string target, end_of_links(inside, name));
      const bool matches = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        return ::fnmatch(for_this_version(pattern).c_str(), target.c_str(), FNM_PERIOD) == 0;
      });
      if (!matches || !exists(inside + "/" + target)) continue;
      spec.mounts.push_back(
          {"/" + context_.definition.root->path + "/" + folder + "/" + target, "/" + folder + "/" + name});
    }
    return {};
  }

  // libx.so → libx.so.1 → libx.so.1.2.3, all in one folder.
  Result<std::string> end_of_links(const std::string& folder, std::string name) {
    constexpr int kMaxLinks = 8;
    for (int i = 0; i < kMaxLinks; ++i) {
      TRY(const std::optional<std::string> link, context_.root.read_link(folder + "/" + name));
      if (!link) break;
      name = link->substr(link->rfind('/') + 1);
      if (name.empty() || name == "." || name == "..") break;  // a folder
    }
    return name;
  }

  [[nodiscard]] std::string for_this_version(std::string pattern) const {
    constexpr std::string_view kVersion = "{version}";
    if (const size_t at = pattern.find(kVersion); at != std::string::npos) {
      pattern.replace(at, kVersion.size(), context_.userland->identity().version);
    }
    return pattern;
  }

  const StepContext& context_;
  const DefinedToolkit& toolkit_;
  std::vector<WantedFile> wanted_;
  std::vector<const WantedFile*> written_;  // by this step, in order
  std::string remark_;
};

}  // namespace

std::unique_ptr<Step> make_toolkit_step(const StepContext& context) { return std::make_unique<ToolkitStep>(context); }

}  // namespace driverext
