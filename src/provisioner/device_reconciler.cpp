#include "provisioner/device_reconciler.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/text.hpp"
#include "provisioner/execute.hpp"
#include "sys/file_watch.hpp"

namespace driverext {
namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kPermissionBits = 07777;
constexpr const char* kDevChar = "dev/char";
/// There while udev has events to handle.
constexpr const char* kUdevQueue = "run/udev/queue";

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

DeviceNode node_of(const struct stat& status) {
  return {gnu_dev_major(status.st_rdev),
          gnu_dev_minor(status.st_rdev),
          status.st_mode & kPermissionBits,
          status.st_uid,
          status.st_gid,
          {}};
}

bool has_number_of(const DeviceNode& node, const ReportedNode& reported) {
  return node.major == reported.node.major && node.minor == reported.node.minor;
}

}  // namespace

Result<bool> DeviceReconciler::is_satisfied() {
  for (const DefinedDevice& rule : context_.definition.devices) {
    TRY(const bool right, is_right(rule));
    if (!right) return false;
  }
  TRY(const DeviceReport* found, report());
  for (const ReportedNode& reported : found->nodes) {
    TRY(const bool right, is_right(reported));
    if (!right) return false;
  }
  TRY(const std::vector<StaleNode> left_over, find_stale_nodes(context_.root, found->claims, finder()));
  if (!left_over.empty()) return false;
  return watch_.is_set(watched_names());
}

Result<void> DeviceReconciler::apply() {
  for (const DefinedDevice& rule : context_.definition.devices) {
    TRY_VOID(await(rule));
    TRY_VOID(set_permissions(rule));
  }
  TRY(const DeviceReport* found, report());
  for (const ReportedNode& reported : found->nodes) TRY_VOID(make(reported));
  TRY_VOID(remove_stale(found->claims));
  return watch_.set(watched_names());
}

Result<void> DeviceReconciler::remove_stale() {
  TRY(const std::vector<NodeClaim> claims, read_node_claims(context_.root, context_.definition));
  return remove_stale(claims);
}

Result<void> DeviceReconciler::stop_watching() { return watch_.set({}); }

Result<void> DeviceReconciler::undo() {
  folders_.clear();
  Result<void> result = watch_.undo();
  for (; !undo_.empty(); undo_.pop_back()) {
    Result<void> undone = undo_.back()();
    if (!undone && result) result = std::move(undone);
  }
  return result;
}

// Read once: what is made is what was looked at.
Result<const DeviceReport*> DeviceReconciler::report() {
  if (!report_) {
    TRY(report_, read_device_report(context_.root, context_.definition));
  }
  return &*report_;
}

// --- nodes that are made here ---

Result<DeviceNode> DeviceReconciler::wanted(const ReportedNode& reported, const std::optional<DeviceNode>& there) {
  DeviceNode node = reported.node;
  TRY(std::optional<std::string> label, context_.kernel.label_for(context_.root.path_of(reported.path)));
  // Where no policy says anything, whatever it has is right.
  node.label = label ? *std::move(label) : there ? there->label : std::string();
  return node;
}

Result<bool> DeviceReconciler::is_link_right(const ReportedNode& reported) {
  TRY(const auto link, context_.root.read_link(char_link_name(reported.node)));
  return link && is_char_link_to(*link, reported.path);
}

Result<bool> DeviceReconciler::is_right(const ReportedNode& reported) {
  TRY(const auto there, context_.kernel.find_node(context_.root.path_of(reported.path)));
  if (!reported.may_make) {
    if (!there) return reported.optional;
    if (!has_number_of(*there, reported)) return false;
    return is_link_right(reported);
  }
  if (!there) return false;
  TRY(const DeviceNode node, wanted(reported, there));
  if (*there != node) return false;
  return is_link_right(reported);
}

Result<void> DeviceReconciler::make(const ReportedNode& reported) {
  if (!reported.may_make) {
    TRY(const bool right, is_right(reported));
    if (right) return {};
    TRY_VOID(await_others(reported));
    return make_link(reported);
  }
  const std::string path = context_.root.path_of(reported.path);
  TRY(const auto there, context_.kernel.find_node(path));
  TRY(const DeviceNode node, wanted(reported, there));
  if (there != node) {
    TRY_VOID(make_folder(folder_of(reported.path)));
    if (!there) TRY_VOID(clear_way(reported.path));
    TRY_VOID(context_.kernel.make_node(path, node));
    undo_.emplace_back([this, path, there] {
      return there ? context_.kernel.make_node(path, *there) : context_.kernel.remove_node(path);
    });
    ++changes_;
    // By its old number it is another device now.
    if (there && char_link_name(*there) != char_link_name(node)) TRY_VOID(remove_link(*there, reported.path));
  }
  return make_link(reported);
}

// Whoever makes it knows its number only once the driver is loaded; mostly it is udev.
Result<void> DeviceReconciler::await_others(const ReportedNode& reported) {
  const std::string path = context_.root.path_of(reported.path);
  const uint64_t deadline = deadline_after(kNodeWaitSeconds);
  std::optional<FileWatch> watch;
  while (true) {
    TRY(const auto there, context_.kernel.find_node(path));
    if (there && has_number_of(*there, reported)) return {};
    TRY(const auto busy, context_.root.status(kUdevQueue));
    Waited waited = Waited::timed_out;
    if (busy) {
      TRY(waited, wait_for_nodes(watch, deadline));
    }
    if (waited == Waited::cancelled) return make_error(Errc::transient, "the provision was told to stop");
    if (waited == Waited::changed) continue;
    return make_error(Errc::incompatible, Reason::device_missing,
                      path + (there ? " has another number than the driver" : " is missing") +
                          ", and the driver was told to leave device files alone (ModifyDeviceFiles=0)");
  }
}

// A folder of the driver's own has a fixed mode: who may open a node is said by the node.
Result<void> DeviceReconciler::make_folder(const std::string& name) {
  if (!folders_.insert(name).second) return {};
  TRY(const auto there, context_.root.status(name));
  if (there && !S_ISDIR(there->st_mode)) {
    return make_error(Errc::conflict,
                      context_.root.path_of(name) + " is not a folder, but device nodes belong below it; move it away");
  }
  if (!there) {
    // Each part, so that each can be taken back.
    if (name.find('/') != std::string::npos) TRY_VOID(make_folder(folder_of(name)));
    TRY_VOID(context_.root.make_dirs(name, kFolderMode));
    undo_.emplace_back([this, name] { return context_.root.remove_dir(name); });
    return {};
  }
  const mode_t mode = there->st_mode & kPermissionBits;
  if (mode == kFolderMode || name == "dev" || name == kDevChar) return {};
  TRY_VOID(context_.root.set_mode(name, kFolderMode));
  undo_.emplace_back([this, name, mode] { return context_.root.set_mode(name, mode); });
  return {};
}

// What stands where a node belongs: container engines leave an empty folder there when they were told to pass a device
// on that did not exist. Nothing that somebody could miss is taken away.
Result<void> DeviceReconciler::clear_way(const std::string& path) {
  TRY(const auto there, context_.root.status(path));
  if (!there) return {};
  const mode_t mode = there->st_mode & kPermissionBits;
  if (S_ISLNK(there->st_mode)) {
    TRY(const auto target, context_.root.read_link(path));
    undo_.emplace_back([this, path, link = target.value_or("")] { return context_.root.make_link(link, path); });
    return {};
  }
  if (S_ISREG(there->st_mode) && there->st_size == 0) {
    undo_.emplace_back([this, path, mode] { return context_.root.write_atomic(path, "", mode); });
    return {};
  }
  if (S_ISDIR(there->st_mode) && context_.root.remove_dir(path)) {
    undo_.emplace_back([this, path, mode] { return context_.root.make_dirs(path, mode); });
    return {};
  }
  return make_error(Errc::conflict, context_.root.path_of(path) +
                                        " stands where a device node belongs, and is not empty; move it away");
}

Result<void> DeviceReconciler::make_link(const ReportedNode& reported) {
  const std::string name = char_link_name(reported.node);
  TRY(const auto before, context_.root.read_link(name));
  if (before && is_char_link_to(*before, reported.path)) return {};
  TRY_VOID(make_folder(kDevChar));
  TRY_VOID(context_.root.make_link(char_link_target(reported.path), name));
  undo_.emplace_back([this, name, before] {
    return before ? context_.root.make_link(*before, name) : context_.root.remove_file(name);
  });
  return {};
}

// --- nodes that lead nowhere ---

NodeFinder DeviceReconciler::finder() const {
  return [this](const std::string& path) { return context_.kernel.find_node(context_.root.path_of(path)); };
}

Result<void> DeviceReconciler::remove_stale(const std::vector<NodeClaim>& claims) {
  TRY(const std::vector<StaleNode> left_over, find_stale_nodes(context_.root, claims, finder()));
  for (const StaleNode& each : left_over) TRY_VOID(remove(each));
  return {};
}

Result<void> DeviceReconciler::remove_link(const DeviceNode& node, const std::string& path) {
  const std::string name = char_link_name(node);
  TRY(const auto link, context_.root.read_link(name));
  if (!link || !is_char_link_to(*link, path)) return {};
  TRY_VOID(context_.root.remove_file(name));
  undo_.emplace_back([this, name, target = *link] { return context_.root.make_link(target, name); });
  return {};
}

Result<void> DeviceReconciler::remove(const StaleNode& stale) {
  TRY_VOID(remove_link(stale.node, stale.path));
  const std::string path = context_.root.path_of(stale.path);
  TRY_VOID(context_.kernel.remove_node(path));
  undo_.emplace_back([this, path, node = stale.node] { return context_.kernel.make_node(path, node); });
  ++changes_;
  return {};
}

// --- nodes that the kernel makes ---

Result<bool> DeviceReconciler::is_right(const DefinedDevice& rule) {
  const auto look = [&]() -> Result<bool> {
    TRY(const std::vector<KernelDevice> devices, find_kernel_devices(context_.root, rule));
    for (const KernelDevice& device : devices) {
      TRY_VOID(check_kernel_node(context_.root, device));
      TRY(const auto wrong, wrong_permissions(rule, device));
      if (wrong) return false;
    }
    return true;
  };
  Result<bool> right = look();
  if (!right && right.error().reason == Reason::device_missing) return false;
  return right;
}

// Waited for is the node and, if the definition asks for other permissions than it has, what udev makes of it.
Result<void> DeviceReconciler::await(const DefinedDevice& rule) {
  const uint64_t deadline = deadline_after(rule.wait_sec);
  const auto missing = [&]() -> Result<void> {
    TRY(const std::vector<KernelDevice> devices, find_kernel_devices(context_.root, rule));
    for (const KernelDevice& device : devices) TRY_VOID(check_kernel_node(context_.root, device));
    return {};
  };
  std::optional<FileWatch> watch;
  while (true) {
    Result<void> there = missing();
    if (!there && there.error().reason != Reason::device_missing) return there;
    if (there) {
      TRY(const bool right, is_right(rule));
      TRY(const auto busy, context_.root.status(kUdevQueue));
      if (right || !busy) return {};
    }
    TRY(const Waited waited, wait_for_nodes(watch, deadline));
    if (waited == Waited::cancelled) return make_error(Errc::transient, "the provision was told to stop");
    if (waited == Waited::timed_out) return there;
  }
}

uint64_t DeviceReconciler::deadline_after(unsigned seconds) const {
  const uint64_t deadline = monotonic_usec() + uint64_t{seconds} * 1'000'000;
  return context_.deadline_usec != 0 ? std::min(deadline, context_.deadline_usec) : deadline;
}

// The first time only looks where it is to be waited: what came before that is seen by who asks again.
Result<Waited> DeviceReconciler::wait_for_nodes(std::optional<FileWatch>& watch, uint64_t deadline_usec) const {
  Waited waited = Waited::changed;
  if (watch) {
    TRY(waited, watch->wait(deadline_usec, context_.cancel_fd));
  } else {
    TRY(watch, FileWatch::make());
  }
  if (waited != Waited::changed) return waited;
  // Wherever the node will be: udev links every node in dev/char.
  TRY(const std::vector<std::string> folders, context_.root.list("dev"));
  TRY_VOID(watch->add(context_.root, "dev"));
  for (const std::string& folder : folders) TRY_VOID(watch->add(context_.root, "dev/" + folder));
  TRY_VOID(watch->add(context_.root, folder_of(kUdevQueue)));
  return waited;
}

// What the node must be, if it is something else.
Result<std::optional<DeviceNode>> DeviceReconciler::wrong_permissions(const DefinedDevice& rule,
                                                                      const KernelDevice& device) {
  if (!rule.mode && rule.group.empty()) return std::optional<DeviceNode>();
  TRY(const auto status, context_.root.status(device.path));
  if (!status || !S_ISCHR(status->st_mode)) return std::optional<DeviceNode>();
  DeviceNode node = node_of(*status);
  if (rule.mode) node.mode = *rule.mode;
  if (!rule.group.empty()) {
    TRY(const auto group, find_group(context_.root, rule.group));
    if (group) node.group = *group;
    const std::string remark = "this host has no group " + rule.group + ", so /" + device.path + " keeps its own";
    if (!group && remark_.find(remark) == std::string::npos) remark_ += (remark_.empty() ? "" : "; ") + remark;
  }
  if (node == node_of(*status)) return std::optional<DeviceNode>();
  return std::optional(std::move(node));
}

// In place: it is the kernel's own node, which goes when the device does.
Result<void> DeviceReconciler::set_permissions(const DefinedDevice& rule) {
  TRY(const std::vector<KernelDevice> devices, find_kernel_devices(context_.root, rule));
  for (const KernelDevice& device : devices) {
    TRY(const auto node, wrong_permissions(rule, device));
    if (!node) continue;
    TRY(const auto status, context_.root.status(device.path));
    const std::string path = context_.root.path_of(device.path);
    TRY_VOID(context_.kernel.change_node(path, *node));
    undo_.emplace_back([this, path, before = node_of(*status)] { return context_.kernel.change_node(path, before); });
    ++changes_;
  }
  return {};
}

// --- whose events are waited for ---

// Of udev's events, those of a module carry its name, those of a device its driver's, mostly the same.
std::vector<std::string> DeviceReconciler::watched_names() const {
  const Definition& definition = context_.definition;
  // Once nobody reports anything, it would not be known that nodes are others'.
  const bool are_others = report_ && !report_->nodes.empty() &&
                          std::none_of(report_->nodes.begin(), report_->nodes.end(),
                                       [](const ReportedNode& reported) { return reported.may_make; });
  const bool looks_after_any = (!definition.nodes.empty() && !are_others) ||
                               std::any_of(definition.devices.begin(), definition.devices.end(),
                                           [](const DefinedDevice& rule) { return rule.mode || !rule.group.empty(); });
  if (!looks_after_any) return {};  // the kernel sees to them
  std::vector<std::string> names;
  for (const DefinedModule& module : definition.modules) names.push_back(module.name);
  for (const DefinedDevice& rule : definition.devices) {
    for (const std::string& driver : rule.drivers) {
      if (check_name("driver", driver)) names.push_back(driver);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace driverext
