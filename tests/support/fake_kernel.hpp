// FakeKernel: a kernel that keeps state, enforces the kernel's rules, and can refuse its n-th call.
//
// Rules: device names are unique; a mount needs its source, its target to be there and not mounted
// upon, except by a tree that is put into its place; what is in use cannot be unloaded, and is closed when its last
// user goes; a module needs its dependencies; loop, dm-verity and the file system must be there (loaded) before they
// are used. A mounted image's files appear below the target, a loaded module's devices below the root.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "kernel/kernel.hpp"
#include "modules/host_modules.hpp"
#include "sys/dir.hpp"

namespace driverext::test {

/// A module file as the fake kernel would read it.
struct FakeModuleFile {
  std::string name;
  std::string build_id;
  std::vector<std::string> depends;
  std::string image = {};  ///< root hash of the image that it is in; empty: wherever else it is found
  int refused_with = 0;    ///< errno
  bool works = true;       ///< finds its hardware: what it registers is there once it is loaded
  std::string version = {};
  std::string state = "live";          ///< what /sys/module shows once it is loaded
  std::vector<std::string> says = {};  ///< to the kernel log, as it is refused
};

/// A number that a module registers, and the device nodes are somebody else's to make.
struct FakeNumber {
  std::string module;
  std::string name;  ///< in /proc/devices
  unsigned major = 0;
};

/// A device that a module registers while it is loaded.
struct FakeDevice {
  std::string module;
  std::string node;          ///< "dev/video0"
  std::string sysfs_number;  ///< "sys/class/video4linux/video0/dev"
  unsigned major = 81;
  unsigned minor = 0;
};

enum class Corruption { none, first_block, module_block };

/// All that a kernel is left with. Two equal ones: nothing happened, or all of it was undone.
struct KernelState {
  struct Device {
    uint64_t number = 0;
    std::string root_hash;
    bool closed = false;  ///< and goes when nobody uses it any more
    bool operator==(const Device&) const = default;
  };
  struct Mount {
    std::string source;
    uint64_t number = 0;
    std::string type;
    bool operator==(const Mount&) const = default;
  };
  int loops = 0;
  std::map<std::string, Device> devices;  ///< by device-mapper name
  std::map<std::string, Mount> mounts;    ///< by target: the topmost one
  /// What lies under the topmost one, the uppermost last.
  std::map<std::string, std::vector<Mount>> beneath;
  std::map<std::string, std::string> modules;  ///< build id by name
  std::map<std::string, DeviceNode> nodes;     ///< by path
  std::map<std::string, PciBinding> pci;       ///< by address: those that have a driver
  std::string firmware_path;                   ///< the kernel shows it, if it has such a setting
  bool operator==(const KernelState&) const = default;
};
std::string to_text(const KernelState& state);
inline void PrintTo(const KernelState& state, std::ostream* out) { *out << to_text(state); }

class FakeKernel final : public Kernel {
 public:
  /// `root` is where images are mounted and devices appear; it outlives the fake.
  explicit FakeKernel(const Dir& root) : root_(root) {}

  // What there is in this world.
  /// Files by name, and symbolic links: what each says.
  void add_image(const std::string& root_hash, std::map<std::string, std::string> files,
                 std::map<std::string, std::string> links = {});
  /// One more file in an image that is known.
  void add_file(const std::string& root_hash, const std::string& name, std::string text) {
    images_.at(root_hash).files[name] = std::move(text);
  }
  void add_module_file(FakeModuleFile file);
  void add_device(FakeDevice device) { devices_.push_back(std::move(device)); }
  /// From the first one on, there is a proc/devices.
  void add_number(FakeNumber number);
  /// A file, by name relative to the root, that is there while the module is loaded: what it shows in /proc.
  void add_report(const std::string& module, const std::string& name, std::string text) {
    reports_.push_back({module, name, std::move(text)});
  }
  /// What a probe finds on an image's device, and what it can be mounted as; squashfs if nothing else is said. Anything
  /// but what images may hold, "" above all, is refused by the probe.
  void set_file_system(const std::string& root_hash, const std::string& type) { file_systems_[root_hash] = type; }
  /// From now on, tables that are read back say this of their devices.
  void misreport(std::function<void(VerityDevice&)> change) { misreport_ = std::move(change); }
  void corrupt(Corruption where) { corruption_ = where; }
  /// From now on sys/module has the loaded modules: their use counts, and who uses them.
  void show_modules();
  /// Compiled in: needs no module.
  void build_in(const std::string& feature) { built_in_.insert(feature); }

  // Things that others brought about.
  void place_device(const std::string& name, const std::string& root_hash, const std::string& salt = "-",
                    uint64_t data_blocks = 1);
  void place_mount(const std::string& target);
  /// One more tmpfs on top of what is at this place, a driver root that an earlier run left.
  void place_root(const std::string& target, const std::map<std::string, std::string>& files);
  /// A process has a file of the image open, until it lets go.
  void hold_image(const std::string& root_hash) { held_images_.insert(root_hash); }
  void let_go_of_image(const std::string& root_hash);
  /// As before Linux 6.5.
  void forget_beneath() { has_beneath_ = false; }
  [[nodiscard]] const std::vector<Placing>& placings() const { return placings_; }
  void place_module(const std::string& name, const std::string& build_id);
  /// A device of the PCI bus that a driver has, in sysfs.
  void place_pci(const PciBinding& binding, const std::string& modalias);
  /// An empty file stands for it, so that its folder lists it.
  void place_node(const std::string& path, const DeviceNode& node);
  void mark_corrupted(const std::string& name) { corrupted_.insert(name); }
  /// Somebody has this many devices of a module open.
  void use_module(const std::string& name, unsigned times);
  /// Somebody has a file open below this mount.
  void use_mount(const std::string& target) { used_mounts_.insert(target); }

  /// A policy: the label of each node, by the name of its folder.
  void set_label(const std::string& folder, const std::string& label) { labels_[folder] = label; }

  /// Nothing answers there: opening this node fails with this errno.
  void refuse_to_open(const std::string& path, int os_error) { unanswered_[path] = os_error; }

  /// The n-th side effect from now (1 is the next) fails with this errno and does nothing.
  void fail_call(int n, int os_error);
  /// The n-th question from now fails with this errno.
  void fail_question(int n, int os_error);
  [[nodiscard]] int side_effects() const { return side_effects_; }
  [[nodiscard]] int questions() const { return questions_; }
  [[nodiscard]] const std::vector<std::string>& calls() const { return calls_; }  ///< side effects that were asked for
  void forget_calls();

  [[nodiscard]] const KernelState& state() const { return state_; }
  [[nodiscard]] const std::map<std::string, std::string>& parameters() const { return parameters_; }

  Result<VerityDevice> open_verity(const VerityRequest& request) override;
  Result<std::optional<VerityDevice>> find_verity(const std::string& name) override;
  Result<void> close_verity(const std::string& name) override;
  Result<void> read_first_block(const VerityDevice& device) override;
  Result<std::optional<std::string>> find_verity_name(uint64_t device_number) override;
  Result<std::string> probe_file_system(const VerityDevice& device) override;
  Result<void> mount(const MountRequest& request) override;
  Result<void> mount_region(const RegionMount& request) override;
  Result<std::optional<MountPoint>> find_mount(const std::string& target) override;
  Result<void> unmount(const std::string& target) override;
  Result<void> detach(const std::string& target) override;
  Result<std::unique_ptr<MountTree>> copy_tree(const std::string& target) override;
  Result<PlacedTree> place_tree(MountTree& tree, const std::string& place) override;
  Result<void> make_node(const std::string& path, const DeviceNode& node) override;
  Result<std::optional<DeviceNode>> find_node(const std::string& path) override;
  Result<void> remove_node(const std::string& path) override;
  Result<void> change_node(const std::string& path, const DeviceNode& node) override;
  Result<std::optional<std::string>> label_for(const std::string& path) override;
  Result<void> open_node(const std::string& path) override;
  void limit_loading(uint64_t deadline_usec) override { load_deadline_usec_ = deadline_usec; }
  [[nodiscard]] uint64_t load_deadline_usec() const { return load_deadline_usec_; }
  Result<void> load_module(const std::string& path, const std::string& parameters) override;
  Result<std::optional<LoadedModule>> find_module(const std::string& name) override;
  Result<void> unload_module(const std::string& name) override;
  Result<void> unbind_pci(const PciBinding& binding) override;
  Result<void> bind_pci(const PciBinding& binding) override;
  Result<void> set_firmware_path(const std::string& path) override;

 private:
  Result<void> side_effect(const std::string& call);
  Result<void> question();
  [[nodiscard]] bool has(const std::string& feature) const;
  [[nodiscard]] VerityDevice describe(const std::string& name) const;
  [[nodiscard]] std::string file_system_of(const std::string& root_hash) const;
  Result<void> show_image(const std::string& root_hash, const std::string& target);
  class Tree;
  void fill(Tree& tree, const std::string& target);
  void detach_top(const std::string& target);
  [[nodiscard]] bool is_used(const KernelState::Device& device) const;
  void remove_closed_devices();
  Result<void> bind(const MountRequest& request);
  void show_devices(const std::string& module) const;
  void show_pci(const PciBinding& binding);
  void hide_devices(const std::string& module) const;
  void write_numbers() const;
  void write_modules() const;
  [[nodiscard]] std::vector<std::string> users_of(const std::string& module) const;
  [[nodiscard]] const FakeModuleFile* module_file_at(const std::string& path) const;

  const Dir& root_;
  KernelState state_;
  struct Image {
    std::map<std::string, std::string> files;
    std::map<std::string, std::string> links;
  };
  std::map<std::string, Image> images_;              // by root hash
  std::map<std::string, std::string> file_systems_;  // the same
  struct Table {
    std::string salt;
    uint64_t data_blocks = 0;
  };
  std::map<std::string, Table> tables_;  // by device-mapper name
  std::function<void(VerityDevice&)> misreport_;
  std::map<std::string, FakeModuleFile> module_files_;  // by root hash of the image, "/", module name
  std::vector<FakeNumber> numbers_;
  std::set<std::string> at_work_;  // modules that found their hardware
  std::vector<FakeDevice> devices_;
  struct Report {
    std::string module;
    std::string name;
    std::string text;
  };
  std::vector<Report> reports_;
  std::set<std::string> built_in_;
  std::set<std::string> held_images_;
  std::set<const Tree*> trees_;                                        // that somebody holds
  std::map<std::string, std::vector<std::shared_ptr<Tree>>> covered_;  // contents of KernelState::beneath
  bool has_beneath_ = true;
  std::vector<Placing> placings_;
  bool shows_modules_ = false;
  std::map<std::string, unsigned> module_uses_;
  std::set<std::string> used_mounts_;
  std::set<std::string> corrupted_;
  std::map<std::string, std::string> parameters_;
  std::map<std::string, std::string> labels_;
  std::map<std::string, int> unanswered_;  // nodes, by path
  uint64_t load_deadline_usec_ = 0;
  Corruption corruption_ = Corruption::none;
  uint64_t next_device_ = 1;
  int side_effects_ = 0;
  int questions_ = 0;
  std::vector<std::string> calls_;
  struct Failure {
    int at = 0;
    int os_error = 0;
  };
  Failure failing_call_;
  Failure failing_question_;
};

/// The host's own modules, by name: what each depends on. Built-in ones have no file.
class FakeHostModules final : public HostModules {
 public:
  void add(const std::string& name, std::vector<HostModule> order) { orders_[name] = std::move(order); }
  void remove(const std::string& name) { orders_.erase(name); }
  Result<std::vector<HostModule>> load_order(const std::string& name) override;

 private:
  std::map<std::string, std::vector<HostModule>> orders_;
};

/// Whether this process may make device nodes; without that the device tests are skipped.
bool may_make_nodes();

}  // namespace driverext::test
