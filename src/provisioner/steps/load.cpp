// load: in-tree dependencies from the host, then the driver's modules from the mounted image.
#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "driver/modprobe_file.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxModprobeFile = size_t{4} << 20;
constexpr mode_t kModprobeFileMode = 0644;

class LoadStep final : public Step {
 public:
  explicit LoadStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const DefinedModule& module : context_.definition.modules) {
      if (module.is_must() && module.name != kEveryModule && !holds(module.name)) {
        return make_error(Errc::incompatible, Reason::config_invalid,
                          "the definition of " + context_.definition.name + " names module " + module.name +
                              ", which the image does not hold");
      }
    }
    Probe found = Probe::satisfied;
    for (const ModuleIdentity& module : image().modules) {
      TRY(const auto there, find_own(module.name, module.build_id));
      if (!there && must_be_loaded(context_.definition, module.name)) found = Probe::needed;
    }
    TRY(const auto file, context_.root.status(kOwnModprobeFile));
    return file ? found : Probe::needed;
  }

  Result<void> apply() override {
    TRY(const Manifest* manifest, context_.image->manifest());
    manifest_ = manifest;
    TRY(modprobe_, read_modprobe_config(context_.root, context_.facts.command_line));
    TRY(const std::vector<std::string> modaliases, modaliases_if_needed());
    const ModulePlanInput input{context_.definition, manifest_->modules, context_.config.parameters, modaliases,
                                modprobe_};
    TRY(plan_, plan_modules(input));
    TRY_VOID(note_attempt());
    for (const std::string& name : plan_.required) TRY_VOID(load_dependency(name));
    for (const std::string& name : plan_.wanted) load_wanted(name);
    for (const PlannedModule& module : plan_.own) TRY_VOID(load_own(module));
    for (const std::string& name : plan_.afterwards) load_wanted(name);
    return write_modprobe_file(format_modprobe_file(input, plan_, context_.root.path_of(mount_name(image()))));
  }

  Result<void> undo() override {
    Result<void> result;
    const auto attempt = [&](Result<void> outcome) {
      if (!outcome && result) result = std::move(outcome);
    };
    if (modprobe_file_changed_) {
      attempt(modprobe_file_before_
                  ? context_.root.write_atomic(kOwnModprobeFile, *modprobe_file_before_, kModprobeFileMode)
                  : context_.root.remove_file(kOwnModprobeFile));
      modprobe_file_changed_ = false;
    }
    for (; !loaded_.empty(); loaded_.pop_back()) attempt(context_.kernel.unload_module(loaded_.back()));
    if (noted_) {
      noted_ = false;
      State state = context_.state.state();
      state.kernels[context_.facts.kernel_release].attempt.reset();
      attempt(context_.state.write(std::move(state)));
    }
    return result;
  }

  // What a person asked for and did not get.
  [[nodiscard]] std::string remark() const override {
    std::string text;
    for (const SkippedModule& skipped : plan_.skipped) {
      const bool is_named = std::any_of(context_.definition.modules.begin(), context_.definition.modules.end(),
                                        [&](const DefinedModule& module) { return module.name == skipped.name; });
      if (is_named) text += (text.empty() ? "" : "; ") + skipped.name + " is not loaded: " + skipped.why;
    }
    return text;
  }

 private:
  // On disk before the first module runs: if the node goes down, its next boot knows why. Also of an image that was
  // good before: new firmware or another card can make it one that takes the node down.
  Result<void> note_attempt() {
    State state = context_.state.state();
    KernelMemory& memory = state.kernels[context_.facts.kernel_release];
    memory.attempt = Attempt{image().version, image().root_hash, context_.facts.boot_id, context_.now};
    const bool was_good = memory.is_good(image().root_hash);
    noted_ = true;
    Result<void> written = context_.state.write(std::move(state));
    // A full disk keeps no image out that was good before.
    return was_good ? Result<void>() : written;
  }

  [[nodiscard]] const ImageIdentity& image() const { return context_.image->identity(); }

  [[nodiscard]] const ModuleRecord& record_of(const std::string& name) const {
    return *std::find_if(manifest_->modules.begin(), manifest_->modules.end(),
                         [&](const ModuleRecord& record) { return record.name == name; });
  }

  // Reading them takes time, and few definitions ask.
  Result<std::vector<std::string>> modaliases_if_needed() {
    const auto& rules = context_.definition.modules;
    const bool is_asked = std::any_of(rules.begin(), rules.end(), [](const DefinedModule& rule) {
      return rule.when && !rule.when->hardware.empty();
    });
    if (!is_asked || context_.facts.hardware_is_known) return context_.facts.modaliases;
    FactsRequest request;
    request.hardware = true;
    TRY(Facts facts, read_facts(context_.root, request));
    return std::move(facts.modaliases);
  }

  [[nodiscard]] bool holds(const std::string& name) const {
    return std::any_of(image().modules.begin(), image().modules.end(),
                       [&](const ModuleIdentity& module) { return module.name == name; });
  }

  // The loaded module of that name, if there is one and it is the one in the image.
  Result<std::optional<LoadedModule>> find_own(const std::string& name, const std::string& build_id) {
    TRY(std::optional<LoadedModule> loaded, context_.kernel.find_module(name));
    if (!loaded || loaded->build_id == build_id) return loaded;
    return make_error(Errc::conflict, Reason::module_conflict,
                      "module " + name + " is loaded already, and not from this image (build id " +
                          (loaded->build_id.empty() ? "unknown" : loaded->build_id) + ", not " + build_id + ")");
  }

  Result<void> load_dependency(const std::string& name) {
    TRY(const std::vector<HostModule> order, context_.host_modules.load_order(name));
    for (const HostModule& module : order) {
      TRY(const auto there, context_.kernel.find_module(module.name));
      if (there) continue;
      if (const auto install = modprobe_.install.find(module.name); install != modprobe_.install.end()) {
        return make_error(Errc::incompatible, Reason::module_blacklisted,
                          "the driver needs module " + module.name + " of the host, and \"install\" in " +
                              install->second.source + " says what to do instead of loading it");
      }
      Result<void> load = context_.kernel.load_module(module.path, host_parameters(module.name));
      if (!load && load.error().os_error == EEXIST) continue;  // udev was quicker
      if (!load) {
        load.error().reason = Reason::dependency_missing;
        return load;
      }
      loaded_.push_back(module.name);
    }
    return {};
  }

  // As modprobe would give them to it.
  [[nodiscard]] std::string host_parameters(const std::string& name) const {
    std::string text;
    for (const auto* lines : {&modprobe_.options, &modprobe_.command_line}) {
      const auto found = lines->find(name);
      if (found == lines->end()) continue;
      for (const ModprobeLine& line : found->second) text += (text.empty() ? "" : " ") + line.value;
    }
    return text;
  }

  // Not there, or not wanted here: the driver does without.
  void load_wanted(const std::string& name) {
    if (modprobe_.blacklist.contains(module_name_form(name))) return;
    (void)load_dependency(name);
  }

  Result<void> load_own(const PlannedModule& module) {
    const ModuleRecord& record = record_of(module.name);
    TRY(const auto there, find_own(record.name, record.build_id));
    if (there) return {};
    const std::string path = context_.root.path_of(mount_name(image()) + "/" + record.path);
    Result<void> load = context_.kernel.load_module(path, module.parameter_text());
    const bool raced = !load && load.error().os_error == EEXIST;  // somebody was quicker: with this one?
    if (!load && !raced) return failure(record, std::move(load).error());
    if (!raced) loaded_.push_back(record.name);
    return expect_right(record);
  }

  // Loaded, and what the manifest says of it is what the kernel shows.
  Result<void> expect_right(const ModuleRecord& record) {
    TRY(const auto loaded, find_own(record.name, record.build_id));
    if (!loaded) {
      return make_error(Errc::internal, Reason::module_load_failed,
                        "module " + record.name + " is gone right after it was loaded");
    }
    TRY_VOID(expect_same(record, "version", loaded->version, record.version));
    return expect_same(record, "source version", loaded->srcversion, record.srcversion);
  }

  // The manifest says something else of the module than the module itself.
  static Result<void> expect_same(const ModuleRecord& record, const char* what, const std::string& found,
                                  const std::string& told) {
    if (found.empty() || found == told) return {};
    return make_error(Errc::incompatible, Reason::check_failed,
                      "module " + record.name + " that is loaded says " + what + " " + found + ", the image " + told);
  }

  Result<void> write_modprobe_file(const std::string& text) {
    TRY(modprobe_file_before_, context_.root.read_if_there(kOwnModprobeFile, kMaxModprobeFile));
    modprobe_file_changed_ = modprobe_file_before_ != text;
    if (!modprobe_file_changed_) return {};
    return context_.root.write_atomic(kOwnModprobeFile, text, kModprobeFileMode);
  }

  Error failure(const ModuleRecord& record, Error error) {
    // A block that does not match its hash reads as EIO; dm-verity remembers that it met one.
    const Result<std::optional<VerityDevice>> device = context_.kernel.find_verity(verity_name(image()));
    if (device && *device && (*device)->corrupted) {
      return make_error(
          Errc::untrusted, Reason::data_corrupt,
          "a data block of module " + record.name + " does not match its signed hash; the kernel refused to read it");
    }
    if (error.reason != Reason::load_timeout) error.reason = Reason::module_load_failed;
    return error;
  }

  const StepContext& context_;
  const Manifest* manifest_ = nullptr;  // read by apply
  ModprobeConfig modprobe_;
  ModulePlan plan_;
  std::vector<std::string> loaded_;  // by this step, in order
  std::optional<std::string> modprobe_file_before_;
  bool modprobe_file_changed_ = false;
  bool noted_ = false;
};

}  // namespace

std::unique_ptr<Step> make_load_step(const StepContext& context) { return std::make_unique<LoadStep>(context); }

}  // namespace driverext
