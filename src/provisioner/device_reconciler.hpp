// DeviceReconciler: the device nodes of a driver become what the kernel reports, and what was changed can be taken
// back.
//
// Those that a driver leaves to user space are made here, with a link in /dev/char: runc's systemd cgroup rules name
// devices by it, and drop what has none. Those that the kernel makes itself are waited for. Right ones are left alone,
// wrong ones are replaced in one go, and those that lead nowhere any more are removed.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "driver/device_nodes.hpp"
#include "driver/kernel_devices.hpp"
#include "kernel/kernel.hpp"
#include "provisioner/device_watch.hpp"
#include "sys/file_watch.hpp"

namespace driverext {

/// What it may use; all of it outlives it.
struct DeviceContext {
  const Dir& root;
  Kernel& kernel;
  const Definition& definition;
  uint64_t deadline_usec = 0;  ///< CLOCK_MONOTONIC; nothing is waited for longer. 0: as long as the definition says
  int cancel_fd = -1;          ///< readable: nothing is waited for any more
};

class DeviceReconciler {
 public:
  explicit DeviceReconciler(DeviceContext context) : context_(context), watch_(context.root) {}
  DeviceReconciler(const DeviceReconciler&) = delete;
  DeviceReconciler& operator=(const DeviceReconciler&) = delete;

  /// Everything is right. Looks only. Errors: Reason::device_missing if the driver does not report what it must.
  Result<bool> is_satisfied();
  /// Makes it so; a failure half-way is left for undo().
  Result<void> apply();
  /// What leads nowhere goes, also where the driver does not report all that it must.
  Result<void> remove_stale();
  /// Once the driver's modules are gone: nobody waits for their events.
  Result<void> stop_watching();
  Result<void> undo();
  /// How many nodes were made, changed or removed.
  [[nodiscard]] size_t changes() const { return changes_; }
  /// What else a person should know; mostly nothing.
  [[nodiscard]] const std::string& remark() const { return remark_; }

 private:
  Result<const DeviceReport*> report();
  Result<DeviceNode> wanted(const ReportedNode& reported, const std::optional<DeviceNode>& there);
  Result<bool> is_right(const ReportedNode& reported);
  Result<bool> is_link_right(const ReportedNode& reported);
  Result<void> remove_stale(const std::vector<NodeClaim>& claims);
  [[nodiscard]] NodeFinder finder() const;

  Result<void> make(const ReportedNode& reported);
  Result<void> await_others(const ReportedNode& reported);
  Result<void> make_folder(const std::string& name);
  Result<void> clear_way(const std::string& path);
  Result<void> make_link(const ReportedNode& reported);
  Result<void> remove_link(const DeviceNode& node, const std::string& path);
  Result<void> remove(const StaleNode& stale);

  Result<void> await(const DefinedDevice& rule);
  [[nodiscard]] uint64_t deadline_after(unsigned seconds) const;
  Result<Waited> wait_for_nodes(std::optional<FileWatch>& watch, uint64_t deadline_usec) const;
  Result<std::optional<DeviceNode>> wrong_permissions(const DefinedDevice& rule, const KernelDevice& device);
  Result<bool> is_right(const DefinedDevice& rule);
  Result<void> set_permissions(const DefinedDevice& rule);

  [[nodiscard]] std::vector<std::string> watched_names() const;

  DeviceContext context_;
  DeviceWatch watch_;
  std::optional<DeviceReport> report_;
  std::set<std::string> folders_;                    ///< that are as they must be
  std::vector<std::function<Result<void>()>> undo_;  ///< in the order of what was done
  size_t changes_ = 0;
  std::string remark_;
};

}  // namespace driverext
