// devices: the nodes that the definition names are there, with the numbers that the kernel reports.
//
// Those that the kernel makes itself need no waiting for: devtmpfs makes a node before the call that registered the
// device returns. Those that a driver leaves to user space are made here, with a link in /dev/char: runc's systemd
// cgroup rules name devices by it, and drop what has none.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/text.hpp"
#include "driver/device_nodes.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxNumber = 64;

std::string char_link_name(const DeviceNode& node) {
  return "dev/char/" + std::to_string(node.major) + ":" + std::to_string(node.minor);
}

// Relative, as udev's links are: "../nvidia0".
std::string char_link_target(const ReportedNode& reported) { return "../" + reported.path.substr(4); }

class DevicesStep final : public Step {
 public:
  explicit DevicesStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const DefinedDevice& device : context_.definition.devices) {
      const Result<void> there = check(device);
      if (there) continue;
      if (there.error().reason != Reason::device_missing) return there.error();
      return Probe::needed;
    }
    TRY(reported_, read_reported_nodes(context_.root, context_.definition));
    for (const ReportedNode& reported : reported_) {
      TRY(const bool right, is_right(reported));
      if (!right) return Probe::needed;
    }
    return Probe::satisfied;
  }

  Result<void> apply() override {
    for (const DefinedDevice& device : context_.definition.devices) TRY_VOID(check(device));
    if (reported_.empty()) {
      TRY(reported_, read_reported_nodes(context_.root, context_.definition));
    }
    for (const ReportedNode& reported : reported_) TRY_VOID(make(reported));
    return {};
  }

  Result<void> undo() override {
    Result<void> result;
    for (; !made_.empty(); made_.pop_back()) {
      Result<void> undone = put_back(made_.back());
      if (!undone && result) result = std::move(undone);
    }
    return result;
  }

 private:
  // What was made, and what was there before.
  struct Made {
    ReportedNode reported;
    std::optional<DeviceNode> node_before;
    std::optional<std::string> link_before;
  };

  Result<void> put_back(const Made& made) {
    const std::string path = context_.root.path_of(made.reported.path);
    if (made.reported.may_make && made.node_before) {
      TRY_VOID(context_.kernel.make_node(path, *made.node_before));
    } else if (made.reported.may_make) {
      TRY_VOID(context_.kernel.remove_node(path));
    }
    const std::string link = char_link_name(made.reported.node);
    return made.link_before ? context_.root.make_link(*made.link_before, link) : context_.root.remove_file(link);
  }

  Result<bool> is_right(const ReportedNode& reported) {
    TRY(const auto node, context_.kernel.find_node(context_.root.path_of(reported.path)));
    TRY(const auto link, context_.root.read_link(char_link_name(reported.node)));
    const bool linked = link == char_link_target(reported);
    if (!reported.may_make) return node && linked;
    return node == reported.node && linked;
  }

  Result<void> make(const ReportedNode& reported) {
    TRY(const bool right, is_right(reported));
    if (right) return {};
    const std::string path = context_.root.path_of(reported.path);
    TRY(const auto there, context_.kernel.find_node(path));
    if (!reported.may_make && !there) {
      return make_error(Errc::not_found, Reason::device_missing,
                        path + " is missing, and the driver was told to leave device files alone");
    }
    const std::string folder = reported.path.substr(0, reported.path.rfind('/'));
    TRY_VOID(context_.root.make_dirs(folder, 0755));
    TRY(const auto link, context_.root.read_link(char_link_name(reported.node)));
    made_.push_back({reported, there, link});
    if (reported.may_make) TRY_VOID(context_.kernel.make_node(path, reported.node));
    return context_.root.make_link(char_link_target(reported), char_link_name(reported.node));
  }

  Result<void> check(const DefinedDevice& device) {
    TRY(const std::optional<std::string> number, context_.root.read_if_there(device.sysfs_number, kMaxNumber));
    if (!number) {
      return make_error(Errc::not_found, Reason::device_missing,
                        "the driver did not register /" + device.sysfs_number + ", so there is no /" + device.node);
    }
    TRY(const std::optional<struct stat> node, context_.root.status(device.node));
    if (!node) {
      return make_error(Errc::not_found, Reason::device_missing, "/" + device.node + " is missing");
    }
    const std::string found =
        std::to_string(gnu_dev_major(node->st_rdev)) + ":" + std::to_string(gnu_dev_minor(node->st_rdev));
    const bool is_node = S_ISCHR(node->st_mode) || S_ISBLK(node->st_mode);
    if (is_node && found == trim(*number)) return {};
    return make_error(
        Errc::conflict, Reason::device_missing,
        "/" + device.node + " is not device " + std::string(trim(*number)) + " that the driver registered");
  }

  const StepContext& context_;
  std::vector<ReportedNode> reported_;
  std::vector<Made> made_;  // by this step, in order
};

}  // namespace

std::unique_ptr<Step> make_devices_step(const StepContext& context) { return std::make_unique<DevicesStep>(context); }

}  // namespace driverext
