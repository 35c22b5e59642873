// evict: modules of other drivers of the same devices are unloaded, if nobody uses them.
#include <utility>

#include "driver/driver_holders.hpp"
#include "provisioner/steps/host_module.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxBlacklist = size_t{1} << 20;
// Below /etc, so that it is there before udev is at the next boot.
constexpr std::string_view kBlacklistFile = "etc/modprobe.d/driverext-blacklist.conf";

class EvictStep final : public Step {
 public:
  explicit EvictStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const std::string& name : context_.definition.host_modules.conflicts) {
      TRY(const auto loaded, context_.kernel.find_module(name));
      if (loaded) return Probe::needed;
    }
    if (!context_.config.blacklist) return Probe::satisfied;
    TRY(const auto text, context_.root.read_if_there(kBlacklistFile, kMaxBlacklist));
    return text == blacklist() ? Probe::satisfied : Probe::needed;
  }

  // All of them are looked at before the first one is touched.
  Result<void> apply() override {
    std::vector<std::string> loaded;
    for (const std::string& name : context_.definition.host_modules.conflicts) {
      TRY(const auto module, context_.kernel.find_module(name));
      if (!module) continue;
      TRY_VOID(refuse_if_used(name));
      loaded.push_back(name);
    }
    for (const std::string& name : loaded) {
      Result<void> unloaded = context_.kernel.unload_module(name);
      if (!unloaded) {
        unloaded.error().code = Errc::conflict;
        unloaded.error().reason = Reason::module_conflict;
        return unloaded;
      }
      evicted_.push_back(name);
    }
    if (!context_.config.blacklist) return {};
    TRY(blacklist_before_, context_.root.read_if_there(kBlacklistFile, kMaxBlacklist));
    blacklist_changed_ = blacklist_before_ != blacklist();
    return blacklist_changed_ ? context_.root.write_atomic(kBlacklistFile, blacklist(), 0644) : Result<void>();
  }

  Result<void> undo() override {
    Result<void> result;
    if (std::exchange(blacklist_changed_, false)) {
      result = blacklist_before_ ? context_.root.write_atomic(kBlacklistFile, *blacklist_before_, 0644)
                                 : context_.root.remove_file(kBlacklistFile);
    }
    for (; !evicted_.empty(); evicted_.pop_back()) {
      Result<void> back = load_again(evicted_.back());
      if (!back && result) result = std::move(back);
    }
    return result;
  }

 private:
  Result<void> refuse_if_used(const std::string& name) {
    TRY(const std::vector<ModuleUse> uses, read_module_uses(context_.root, {name}));
    if (uses.empty() || uses.front().references == 0) return {};
    std::vector<std::string> who;
    for (const std::string& user : uses.front().used_by) who.push_back("module " + user + " uses it");
    TRY(const ProcessHolders holders, find_process_holders(context_.root, holder_query(context_.root, uses)));
    for (const ProcessHolder& holder : holders.processes) who.push_back(holder_text(holder));
    if (who.empty()) who.emplace_back("by the kernel itself, as for a console");
    std::string text;
    for (const std::string& user : who) text += (text.empty() ? ": " : ", ") + user;
    return make_error(
        Errc::conflict, Reason::module_conflict,
        "module " + name + " has the devices that " + context_.definition.name + " is for, and is in use" + text);
  }

  Result<void> load_again(const std::string& name) {
    TRY(ModprobeConfig modprobe, read_modprobe_config(context_.root, context_.facts.command_line));
    modprobe.install.clear();  // it was there, whatever they say
    std::vector<std::string> loaded;
    return load_host_module(context_, modprobe, name, loaded);
  }

  [[nodiscard]] std::string blacklist() const {
    std::string text = "# Written by driverext: [host] blacklist = true in /etc/driverext/driverext.toml\n";
    for (const std::string& name : context_.definition.host_modules.conflicts) text += "blacklist " + name + "\n";
    return text;
  }

  const StepContext& context_;
  std::vector<std::string> evicted_;  // by this step, in order
  std::optional<std::string> blacklist_before_;
  bool blacklist_changed_ = false;
};

}  // namespace

std::unique_ptr<Step> make_evict_step(const StepContext& context) { return std::make_unique<EvictStep>(context); }

}  // namespace driverext
