// load: in-tree dependencies from the host, then the driver's modules from the mounted image.
#include <algorithm>
#include <cerrno>

#include "modules/load_order.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

// What the kernel means by the errno of finit_module(2), where it says more than strerror does.
std::string_view explain(int os_error) {
  switch (os_error) {
    case ENOEXEC:
      return " (built for another kernel or configuration)";
    case EKEYREJECTED:
    case ENOKEY:
      return " (the kernel only takes modules signed with a key that it knows)";
    case ENOENT:
      return " (a symbol that it needs is not in this kernel)";
    default:
      return "";
  }
}

class LoadStep final : public Step {
 public:
  explicit LoadStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const DefinedModule& module : context_.definition.modules) {
      if (!holds(module.name)) {
        return make_error(Errc::incompatible, Reason::config_invalid,
                          "the definition of " + context_.definition.name + " names module " + module.name +
                              ", which the image does not hold");
      }
    }
    Probe found = Probe::satisfied;
    for (const ModuleIdentity& module : image().modules) {
      TRY(const bool there, is_loaded(module));
      if (!there) found = Probe::needed;
    }
    return found;
  }

  Result<void> apply() override {
    TRY(manifest_, context_.image->manifest());
    std::vector<ModuleNode> nodes;
    for (const ModuleRecord& record : manifest_->modules) nodes.push_back({record.name, record.depends});
    TRY(const LoadOrder order, order_modules(nodes));
    TRY_VOID(note_attempt());
    for (const std::string& name : order.external) TRY_VOID(load_dependency(name));
    for (const std::string& name : order.own) TRY_VOID(load_own(record_of(name)));
    return {};
  }

  Result<void> undo() override {
    Result<void> result;
    while (!loaded_.empty()) {
      Result<void> unloaded = context_.kernel.unload_module(loaded_.back());
      if (!unloaded && result) result = std::move(unloaded);
      loaded_.pop_back();
    }
    if (noted_) {
      noted_ = false;
      State state = context_.state.state();
      state.kernels[context_.facts.kernel_release].attempt.reset();
      Result<void> written = context_.state.write(std::move(state));
      if (!written && result) result = std::move(written);
    }
    return result;
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

  [[nodiscard]] bool holds(const std::string& name) const {
    return std::any_of(image().modules.begin(), image().modules.end(),
                       [&](const ModuleIdentity& module) { return module.name == name; });
  }

  // True if the loaded module of that name is the one in the image.
  Result<bool> is_loaded(const ModuleIdentity& module) {
    TRY(const std::optional<LoadedModule> loaded, context_.kernel.find_module(module.name));
    if (!loaded) return false;
    if (loaded->build_id == module.build_id) return true;
    return make_error(Errc::conflict, Reason::module_conflict,
                      "module " + module.name + " is loaded already, and not from this image (build id " +
                          (loaded->build_id.empty() ? "unknown" : loaded->build_id) + ", not " + module.build_id + ")");
  }
  Result<bool> is_loaded(const ModuleRecord& record) {
    return is_loaded(ModuleIdentity{record.name, record.build_id, record.version});
  }

  Result<void> load_dependency(const std::string& name) {
    TRY(const std::vector<HostModule> order, context_.host_modules.load_order(name));
    for (const HostModule& module : order) {
      TRY(const auto there, context_.kernel.find_module(module.name));
      if (there) continue;
      Result<void> load = context_.kernel.load_module(module.path, "");
      if (!load && load.error().os_error == EEXIST) continue;  // udev was quicker
      if (!load) {
        load.error().reason = Reason::dependency_missing;
        return load;
      }
      loaded_.push_back(module.name);
    }
    return {};
  }

  Result<void> load_own(const ModuleRecord& record) {
    TRY(const bool there, is_loaded(record));
    if (there) return {};
    const std::string path = context_.root.path_of(mount_name(image()) + "/" + record.path);
    const auto defined = std::find_if(context_.definition.modules.begin(), context_.definition.modules.end(),
                                      [&](const DefinedModule& module) { return module.name == record.name; });
    const std::string parameters = defined != context_.definition.modules.end() ? defined->parameters : "";
    Result<void> load = context_.kernel.load_module(path, parameters);
    const bool raced = !load && load.error().os_error == EEXIST;  // somebody was quicker: with this one?
    if (!load && !raced) return failure(record, std::move(load).error());
    if (!raced) loaded_.push_back(record.name);
    TRY(const bool now_there, is_loaded(record));
    if (now_there) return {};
    return make_error(Errc::internal, Reason::module_load_failed,
                      "module " + record.name + " is gone right after it was loaded");
  }

  Error failure(const ModuleRecord& record, Error error) {
    // A block that does not match its hash reads as EIO; dm-verity remembers that it met one.
    const Result<std::optional<VerityDevice>> device = context_.kernel.find_verity(verity_name(image()));
    if (device && *device && (*device)->corrupted) {
      return make_error(
          Errc::untrusted, Reason::data_corrupt,
          "a data block of module " + record.name + " does not match its signed hash; the kernel refused to read it");
    }
    error.what += explain(error.os_error);
    if (error.reason != Reason::load_timeout) error.reason = Reason::module_load_failed;
    return error;
  }

  const StepContext& context_;
  const Manifest* manifest_ = nullptr;  // read by apply
  std::vector<std::string> loaded_;     // by this step, in order
  bool noted_ = false;
};

}  // namespace

std::unique_ptr<Step> make_load_step(const StepContext& context) { return std::make_unique<LoadStep>(context); }

}  // namespace driverext
