// load: in-tree dependencies from the host, then the driver's modules from the mounted image.
#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "driver/modprobe_file.hpp"
#include "host/hardware.hpp"
#include "provisioner/execute.hpp"
#include "provisioner/steps/host_module.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxModprobeFile = size_t{4} << 20;
constexpr mode_t kModprobeFileMode = 0644;

class LoadStep final : public Step {
 public:
  explicit LoadStep(const StepContext& context) : context_(context) {}

  // Planned anew each time: a definition, a parameter or a device can be another one than at the last run.
  Result<Probe> probe() override {
    if (Result<void> planned = plan(); !planned) return judge_running(std::move(planned).error());
    Probe found = Probe::satisfied;
    for (const PlannedModule& module : plan_.own) {
      const Result<std::optional<LoadedModule>> there = find_own(record_of(module.name));
      if (!there && !is_foreign(module, there.error())) return there.error();
      if (!there) {
        skipped_.push_back({module.name, there.error().message()});
      } else if (!*there) {
        found = Probe::needed;  // also one that the driver does without: it may be taken by now
      }
    }
    TRY(const auto file, context_.root.read_if_there(kOwnModprobeFile, kMaxModprobeFile));
    return file == modprobe_file() ? found : Probe::needed;
  }

  Result<void> apply() override {
    skipped_.clear();
    TRY_VOID(note_attempt());
    for (const std::string& name : plan_.required) TRY_VOID(load_host_module(context_, modprobe_, name, loaded_));
    for (const std::string& name : plan_.wanted) load_wanted(name);
    for (const PlannedModule& module : plan_.own) {
      TRY_VOID(module.is_must ? load_own(module) : try_to_load(module));
    }
    for (const std::string& name : plan_.afterwards) load_wanted(name);
    return write_modprobe_file(modprobe_file());
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
    std::string text = concern_;
    for (const std::vector<SkippedModule>* modules : {&plan_.skipped, &skipped_}) {
      for (const SkippedModule& skipped : *modules) {
        if (skipped.is_defined) text += (text.empty() ? "" : "; ") + skipped.name + " is not loaded: " + skipped.why;
      }
    }
    return text;
  }

 private:
  [[nodiscard]] ModulePlanInput input() const {
    return {context_.definition, manifest_->modules, context_.config.parameters, modaliases_, modprobe_};
  }

  Result<void> plan() {
    TRY(manifest_, context_.image->manifest());
    TRY(modprobe_, read_modprobe_config(context_.root, context_.facts.command_line));
    modaliases_ = modaliases_if_needed();
    TRY(plan_, plan_modules(input()));
    return {};
  }

  // What keeps a driver from being loaded does not take it away: a line in modprobe.d is for the next time.
  Result<Probe> judge_running(Error problem) {
    if (reason_of(problem) != Reason::module_blacklisted) return problem;
    for (const ModuleIdentity& module : image().modules) {
      if (!must_be_loaded(context_.definition, module.name)) continue;
      TRY(const auto there, context_.kernel.find_module(module.name));
      if (!there || there->build_id != module.build_id) return problem;
    }
    concern_ = "it would not be loaded again: " + problem.message();
    return Probe::satisfied;
  }

  [[nodiscard]] std::string modprobe_file() const {
    return format_modprobe_file(input(), plan_, context_.root.path_of(mount_name(image())));
  }

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
  [[nodiscard]] std::vector<std::string> modaliases_if_needed() const {
    const auto& rules = context_.definition.modules;
    const bool is_asked = std::any_of(rules.begin(), rules.end(), [](const DefinedModule& rule) {
      return rule.when && !rule.when->hardware.empty();
    });
    if (!is_asked || context_.facts.hardware_is_known) return context_.facts.modaliases;
    return read_modaliases(context_.root).value_or(std::vector<std::string>());
  }

  // The loaded module of that name, if there is one and it is the one in the image.
  Result<std::optional<LoadedModule>> find_own(const ModuleRecord& record) {
    TRY(std::optional<LoadedModule> loaded, context_.kernel.find_module(record.name));
    if (!loaded || loaded->build_id == record.build_id) return loaded;
    return make_error(Errc::conflict, Reason::module_conflict,
                      "module " + record.name + " is loaded already, and not from this image (build id " +
                          (loaded->build_id.empty() ? "unknown" : loaded->build_id) + ", not " + record.build_id + ")");
  }

  static bool is_foreign(const PlannedModule& module, const Error& error) {
    return !module.is_must && error.reason == Reason::module_conflict;
  }

  // Not there, or not wanted here: the driver does without.
  void load_wanted(const std::string& name) {
    if (modprobe_.blacklist.contains(module_name_form(name))) return;
    (void)load_host_module(context_, modprobe_, name, loaded_);
  }

  // The driver does without it: what keeps it out is told. Data that is not what was signed is another matter.
  Result<void> try_to_load(const PlannedModule& module) {
    const size_t before = loaded_.size();
    leave_time_for_others();
    Result<void> load = load_with_needs(module);
    context_.kernel.limit_loading(context_.deadline_usec);
    if (load || load.error().code == Errc::untrusted) return load;
    skipped_.push_back({module.name, load.error().message()});
    // What it alone needed goes with it, unless somebody uses that by now.
    while (loaded_.size() > before && context_.kernel.unload_module(loaded_.back())) loaded_.pop_back();
    return {};
  }

  // One that hangs takes half of the time, not all of it.
  void leave_time_for_others() {
    const uint64_t now = monotonic_usec();
    if (context_.deadline_usec > now) context_.kernel.limit_loading(now + (context_.deadline_usec - now) / 2);
  }

  Result<void> load_with_needs(const PlannedModule& module) {
    for (const std::string& name : record_of(module.name).depends) {
      const bool is_skipped = std::any_of(skipped_.begin(), skipped_.end(),
                                          [&](const SkippedModule& skipped) { return skipped.name == name; });
      if (is_skipped) return make_error(Errc::incompatible, "module " + name + ", which it needs, is not loaded");
    }
    for (const std::string& name : module.needs) TRY_VOID(load_host_module(context_, modprobe_, name, loaded_));
    return load_own(module);
  }

  Result<void> load_own(const PlannedModule& module) {
    const ModuleRecord& record = record_of(module.name);
    TRY(const auto there, find_own(record));
    if (there) return {};
    const std::string path = context_.root.path_of(mount_name(image()) + "/" + record.path);
    Result<void> load = context_.kernel.load_module(path, module.parameter_text());
    const bool raced = !load && load.error().os_error == EEXIST;  // somebody was quicker: with this one?
    if (!load && !raced) return failure(module, std::move(load).error());
    if (!raced) loaded_.push_back(record.name);
    return expect_right(record);
  }

  // Loaded, and what the manifest says of it is what the kernel shows.
  Result<void> expect_right(const ModuleRecord& record) {
    TRY(const auto loaded, find_own(record));
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

  Error failure(const PlannedModule& module, Error error) {
    // A block that does not match its hash reads as EIO; dm-verity remembers that it met one.
    const Result<std::optional<VerityDevice>> device = context_.kernel.find_verity(verity_name(image()));
    if (device && *device && (*device)->corrupted) {
      return make_error(
          Errc::untrusted, Reason::data_corrupt,
          "a data block of module " + module.name + " does not match its signed hash; the kernel refused to read it");
    }
    if (error.reason == Reason::load_timeout) return error;
    if (error.code == Errc::not_found && error.os_error == 0) {
      return make_error(Errc::incompatible, Reason::check_failed,
                        "the image does not hold " + record_of(module.name).path + ", which its manifest names");
    }
    error.reason = is_kept_out(module.name, error) ? Reason::module_blacklisted : Reason::module_load_failed;
    name_parameters(module, error);
    return error;
  }

  // modprobe(8) knows modprobe.blacklist=, the kernel this one: it loads no module of that name.
  [[nodiscard]] bool is_kept_out(const std::string& name, const Error& error) const {
    constexpr std::string_view kKey = "module_blacklist=";
    if (error.os_error != EPERM) return false;
    return std::any_of(context_.facts.command_line.begin(), context_.facts.command_line.end(),
                       [&](const std::string& word) {
                         if (!word.starts_with(kKey)) return false;
                         const std::vector<std::string> names = split(std::string_view(word).substr(kKey.size()), ',');
                         return std::any_of(names.begin(), names.end(),
                                            [&](const std::string& other) { return module_name_form(other) == name; });
                       });
  }

  // An image is not to blame for a value that somebody gave: who gave it is named. The one that the kernel names, else
  // every one that does not come from the driver's definition.
  static void name_parameters(const PlannedModule& module, Error& error) {
    // Source: kernel/params.c (parse_args, param_set_copystring).
    if (error.os_error != EINVAL && error.os_error != ERANGE && error.os_error != ENOSPC) return;
    std::string named;
    std::string of_host;
    for (const GivenParameter& given : module.parameters) {
      const std::string text = given.text + " (" + given.source + ")";
      const std::string name = given.text.substr(0, given.text.find('='));
      if (error.what.find("for parameter `" + name + "'") != std::string::npos)
        named += (named.empty() ? "" : ", ") + text;
      if (given.source != kDefinitionSource) of_host += (of_host.empty() ? "" : ", ") + text;
    }
    const std::string& suspects = named.empty() ? of_host : named;
    if (suspects.empty()) return;
    error.code = Errc::incompatible;
    error.what += "; it was given " + suspects;
  }

  const StepContext& context_;
  const Manifest* manifest_ = nullptr;  // set by plan(), as what follows
  ModprobeConfig modprobe_;
  std::vector<std::string> modaliases_;
  ModulePlan plan_;
  std::vector<SkippedModule> skipped_;  // planned, and not to be had
  std::string concern_;                 // about a driver that is loaded
  std::vector<std::string> loaded_;     // by this step, in order
  std::optional<std::string> modprobe_file_before_;
  bool modprobe_file_changed_ = false;
  bool noted_ = false;
};

}  // namespace

std::unique_ptr<Step> make_load_step(const StepContext& context) { return std::make_unique<LoadStep>(context); }

}  // namespace driverext
