// evict: modules of other drivers of the same devices are unloaded, if nobody uses them. Devices that vfio-pci has are
// taken from it if that is wanted.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "driver/driver_holders.hpp"
#include "modules/modprobe_config.hpp"
#include "provisioner/execute.hpp"
#include "provisioner/steps/host_module.hpp"
#include "provisioner/steps/vfio.hpp"
#include "sys/file_watch.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxBlacklist = size_t{1} << 20;
// Below /etc, so that it is there before udev is at the next boot.
constexpr std::string_view kLaterBoots = "etc/modprobe.d/driverext-blacklist.conf";
constexpr const char* kUdev = "run/udev";
constexpr const char* kUdevQueue = "run/udev/queue";  // there while udev has events to handle
constexpr uint64_t kQuietUsec = 10'000'000;
constexpr uint64_t kLookUsec = 250'000;

/// A file that a step writes, and what it was before.
class ChangedFile {
 public:
  ChangedFile(const Dir& root, std::string_view name) : root_(root), name_(name) {}

  // Nothing stands for no file.
  Result<bool> is(const std::optional<std::string>& text) const {
    TRY(const auto there, root_.read_if_there(name_, kMaxBlacklist));
    return there == text;
  }
  Result<void> change(const std::optional<std::string>& text) {
    TRY(before_, root_.read_if_there(name_, kMaxBlacklist));
    is_changed_ = before_ != text;
    return is_changed_ ? write(text) : Result<void>();
  }
  Result<void> undo() { return std::exchange(is_changed_, false) ? write(before_) : Result<void>(); }
  void keep() { is_changed_ = false; }

 private:
  Result<void> write(const std::optional<std::string>& text) const {
    return text ? root_.write_atomic(name_, *text, 0644) : root_.remove_file(name_);
  }

  const Dir& root_;
  std::string name_;
  std::optional<std::string> before_;
  bool is_changed_ = false;
};

class EvictStep final : public Step {
 public:
  explicit EvictStep(const StepContext& context)
      : context_(context), this_boot_(context.root, kOwnConflictsFile), later_boots_(context.root, kLaterBoots) {}

  Result<Probe> probe() override {
    TRY(of_vfio_, find_vfio_devices(context_.root, context_.definition));
    for (const std::string& name : conflicts()) {
      TRY(const auto loaded, context_.kernel.find_module(name));
      if (loaded) return Probe::needed;
    }
    if (context_.config.take_from_vfio && !of_vfio_.empty()) return Probe::needed;
    TRY(const bool is_kept_away, this_boot_.is(text_for_this_boot()));
    if (!is_kept_away) return Probe::needed;
    if (!is_for_later_boots()) return Probe::satisfied;
    TRY(const bool is_written, later_boots_.is(text_for_later_boots()));
    return is_written ? Probe::satisfied : Probe::needed;
  }

  // All of them are looked at before the first one is touched. What keeps them away comes first: udev loads them, as
  // long as nothing tells it not to.
  Result<void> apply() override {
    TRY_VOID(this_boot_.change(text_for_this_boot()));
    if (is_for_later_boots()) TRY_VOID(later_boots_.change(text_for_later_boots()));
    TRY_VOID(await_quiet());
    std::vector<std::string> loaded;
    for (const std::string& name : conflicts()) {
      TRY(const auto module, context_.kernel.find_module(name));
      if (!module) continue;
      Result<void> unused = refuse_if_used(*module);
      if (!unused) return until_next_boot(std::move(unused).error());
      loaded.push_back(name);
    }
    if (context_.config.take_from_vfio) {
      for (const PciBinding& device : of_vfio_) TRY_VOID(refuse_if_vfio_is_used(context_.root, device));
    }
    for (const std::string& name : loaded) {
      Result<void> unloaded = context_.kernel.unload_module(name);
      if (!unloaded) {
        unloaded.error().code = Errc::conflict;
        unloaded.error().reason = Reason::module_conflict;
        return unloaded.error().os_error == EBUSY ? until_next_boot(std::move(unloaded).error()) : unloaded;
      }
      evicted_.push_back(name);
    }
    return context_.config.take_from_vfio ? take_from_vfio() : Result<void>();
  }

  Result<void> undo() override {
    Result<void> result = later_boots_.undo();
    Result<void> this_boot = this_boot_.undo();
    if (result) result = std::move(this_boot);
    for (; !taken_.empty(); taken_.pop_back()) {
      Result<void> back = context_.kernel.bind_pci(taken_.back());
      if (!back && result) result = std::move(back);
    }
    for (; !evicted_.empty(); evicted_.pop_back()) {
      Result<void> back = load_again(evicted_.back());
      if (!back && result) result = std::move(back);
    }
    return result;
  }

  // Whoever looks for a device that the driver does not have finds it here.
  [[nodiscard]] std::string remark() const override {
    if (context_.config.take_from_vfio || of_vfio_.empty()) return {};
    std::string text;
    for (const PciBinding& device : of_vfio_) text += (text.empty() ? "" : ", ") + device.address;
    return text + (of_vfio_.size() == 1 ? " is" : " are") +
           " bound to vfio-pci and left there; [host] take_from_vfio = true takes such devices";
  }

 private:
  [[nodiscard]] const std::vector<std::string>& conflicts() const { return context_.definition.host_modules.conflicts; }

  [[nodiscard]] bool is_for_later_boots() const { return context_.config.blacklist && !conflicts().empty(); }

  // A worker of udev may have read modprobe.d before our lines were there, and a module's init ends when it ends. After
  // that time things are taken as they are.
  Result<void> await_quiet() {
    uint64_t deadline = monotonic_usec() + kQuietUsec;
    if (context_.deadline_usec != 0) deadline = std::min(deadline, context_.deadline_usec);
    TRY(FileWatch watch, FileWatch::make());
    while (true) {
      TRY_VOID(watch.add(context_.root, kUdev));
      TRY(const auto queue, context_.root.status(kUdevQueue));
      TRY(const Expected expected, what_is_expected());
      const uint64_t now = monotonic_usec();
      if (expected == Expected::nothing || (expected == Expected::a_module && !queue) || now >= deadline) return {};
      // No event tells that an init is over.
      const uint64_t until = expected == Expected::end_of_init ? std::min(deadline, now + kLookUsec) : deadline;
      TRY(const Waited waited, watch.wait(until, context_.cancel_fd));
      if (waited == Waited::cancelled) return make_error(Errc::transient, "the provision was told to stop");
    }
  }

  enum class Expected { nothing, a_module, end_of_init };

  // Of competitors: one can come, by udev, or is just coming.
  Result<Expected> what_is_expected() {
    Expected expected = Expected::nothing;
    for (const std::string& name : conflicts()) {
      TRY(const auto module, context_.kernel.find_module(name));
      if (module && module->state == "coming") return Expected::end_of_init;
      if (module || context_.host_modules.load_order(name)) expected = Expected::a_module;
    }
    return expected;
  }

  Result<void> refuse_if_used(const LoadedModule& module) {
    if (module.state == "coming") return in_use(module.name, " by the kernel itself, which is still loading it");
    TRY(const std::vector<ModuleUse> uses, read_module_uses(context_.root, {module.name}));
    if (uses.empty() || uses.front().references == 0) return {};
    std::vector<std::string> who;
    for (const std::string& user : uses.front().used_by) who.push_back("module " + user + " uses it");
    TRY(const ProcessHolders holders, find_process_holders(context_.root, holder_query(context_.root, uses)));
    for (const ProcessHolder& holder : holders.processes) who.push_back(holder_text(holder));
    if (who.empty()) who.emplace_back("by the kernel itself, as for a console");
    std::string text;
    for (const std::string& user : who) text += (text.empty() ? ": " : ", ") + user;
    return in_use(module.name, text);
  }

  [[nodiscard]] Error in_use(const std::string& module, const std::string& how) const {
    return make_error(
        Errc::conflict, Reason::module_conflict,
        "module " + module + " has the devices that " + context_.definition.name + " is for, and is in use" + how);
  }

  Result<void> take_from_vfio() {
    for (const PciBinding& device : of_vfio_) {
      Result<void> unbound = context_.kernel.unbind_pci(device);
      if (!unbound) {
        unbound.error().reason = Reason::module_conflict;
        return unbound;
      }
      taken_.push_back(device);
    }
    return {};
  }

  // It cannot go now: what keeps it away at the next boot stays, or nothing would ever change.
  Error until_next_boot(Error error) {
    if (!is_for_later_boots() || error.reason != Reason::module_conflict) return error;
    later_boots_.keep();
    error.what += "; " + context_.root.path_of(kLaterBoots) + " keeps it away from the next boot on: reboot";
    return error;
  }

  Result<void> load_again(const std::string& name) {
    TRY(ModprobeConfig modprobe, read_modprobe_config(context_.root, context_.facts.command_line));
    modprobe.install.clear();  // it was there, whatever they say
    std::vector<std::string> loaded;
    return load_host_module(context_, modprobe, name, loaded);
  }

  [[nodiscard]] std::string lines() const {
    std::string text;
    for (const std::string& name : conflicts()) text += "blacklist " + name + "\n";
    return text;
  }
  [[nodiscard]] std::optional<std::string> text_for_this_boot() const {
    if (conflicts().empty()) return {};
    return "# Written by driverext: another driver is to have their devices.\n" + lines();
  }
  [[nodiscard]] std::string text_for_later_boots() const {
    return "# Written by driverext: [host] blacklist = true in /etc/driverext/driverext.toml\n" + lines();
  }

  const StepContext& context_;
  ChangedFile this_boot_;
  ChangedFile later_boots_;
  std::vector<PciBinding> of_vfio_;   // as probe saw it
  std::vector<std::string> evicted_;  // by this step, in order
  std::vector<PciBinding> taken_;     // the same
};

}  // namespace

std::unique_ptr<Step> make_evict_step(const StepContext& context) { return std::make_unique<EvictStep>(context); }

}  // namespace driverext
