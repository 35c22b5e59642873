// The device nodes that a driver leaves to user space, as the kernel reports them: /proc/devices for the numbers, the
// driver's own files in /proc for which devices there are. PCI lines are never counted.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct ReportedNode {
  std::string path;  ///< relative to the root, "dev/nvidia0"
  DeviceNode node;
  /// Of one device: its number in the order of the folders, then its other names. Empty: all devices share this node.
  std::vector<std::string> names;
  bool may_make = true;       ///< false: the driver says that nodes are somebody else's to make (ModifyDeviceFiles: 0)
  bool optional = false;      ///< the driver works without it
  bool in_containers = true;  ///< as in DefinedNode
};

/// What a driver's rules say of one name or one pattern of names, whether or not a node is to be made.
struct NodeClaim {
  std::string pattern;            ///< "dev/x{minor}"
  std::optional<unsigned> major;  ///< nothing: not registered, so that no such node can be right
  std::set<unsigned> minors;      ///< that the driver reports
  std::set<unsigned> wanted;      ///< those of them that nodes are made for
  bool is_complete = false;       ///< it has no others
  bool may_remove = true;
};

struct DeviceReport {
  std::vector<ReportedNode> nodes;  ///< in the order of the definition, each path once
  std::vector<NodeClaim> claims;
};

/// Errors: Reason::device_missing if a number is not registered that the definition does not call optional, or if the
/// driver reports no device at all.
Result<DeviceReport> read_device_report(const Dir& root, const Definition& definition);
/// Its nodes alone.
Result<std::vector<ReportedNode>> read_reported_nodes(const Dir& root, const Definition& definition);
/// Its claims alone, also while the driver is not loaded.
Result<std::vector<NodeClaim>> read_node_claims(const Dir& root, const Definition& definition);

/// A character device by its path below the root; nothing if there is none.
using NodeFinder = std::function<Result<std::optional<DeviceNode>>(const std::string& path)>;

struct StaleNode {
  std::string path;
  DeviceNode node;
};
/// Nodes that have a name of the driver's and lead nowhere: their device is gone, or their number is another driver's
/// by now. Those with a number that may be right are left alone: others make nodes too.
Result<std::vector<StaleNode>> find_stale_nodes(const Dir& root, const std::vector<NodeClaim>& claims,
                                                const NodeFinder& find_node);

/// The link that container engines know a device by: "dev/char/195:0".
std::string char_link_name(const DeviceNode& node);
/// What it says: "../nvidia0", relative as udev's are.
std::string char_link_target(const std::string& path);
/// It leads to that node, whoever made it.
bool is_char_link_to(const std::string& link, const std::string& path);

}  // namespace driverext
