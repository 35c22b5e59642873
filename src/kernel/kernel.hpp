// Kernel: every side effect on the running kernel, and the questions that go with them.
//
// One narrow interface, so that plans can be run against a stateful fake that refuses its n-th call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

/// A file region pair to be read through dm-verity.
struct VerityRequest {
  std::string name;  ///< device-mapper name, also its UUID
  int fd = -1;       ///< the image; what was verified is what is attached
  uint64_t data_offset = 0;
  uint64_t data_size = 0;
  uint64_t hash_offset = 0;  ///< of the superblock; the tree follows it
  uint64_t hash_size = 0;
  std::string root_hash;  ///< hex
  std::string salt;       ///< hex, "-" if none
};

struct VerityDevice {
  std::string node;  ///< "/dev/dm-3"
  uint64_t device_number = 0;
  std::string root_hash;  ///< read back from the active table
  std::string salt;
  uint64_t data_blocks = 0;
  /// The kernel has met a block that does not match its hash since the device was made.
  bool corrupted = false;
};

/// A file region to be mounted without dm-verity: only for what was checked as a whole just before.
struct RegionMount {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t size = 0;
  std::string target;
  std::string options;  ///< as in MountRequest
};

struct MountRequest {
  std::string source;
  std::string target;
  std::string type;     ///< empty for bind mounts
  std::string options;  ///< as mount(8) takes them: "ro,nodev", "bind", "rbind", "private"
};

struct MountPoint {
  uint64_t device_number = 0;
  std::string type;
  std::string source;    ///< as the mount's maker called it
  unsigned stacked = 1;  ///< how many mounts lie at exactly this place; this one is on top
};

/// A mount with all below it that is at no place: what nobody uses of it goes when this does.
class MountTree {
 public:
  MountTree() = default;
  MountTree(const MountTree&) = delete;
  MountTree& operator=(const MountTree&) = delete;
  virtual ~MountTree() = default;
};

/// How a tree of mounts came to its place.
enum class Placing {
  first,    ///< there was none
  beneath,  ///< under the one before, which was then taken away: at no time was there none
  swapped,  ///< after the one before was taken away: the kernel knows no better (before Linux 6.5)
};

struct PlacedTree {
  Placing how = Placing::first;
  std::unique_ptr<MountTree> before;  ///< what was there; none with Placing::first
};

/// A character device node.
struct DeviceNode {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned mode = 0;  ///< permission bits
  unsigned owner = 0;
  unsigned group = 0;
  std::string label = {};  ///< SELinux context; empty where there is none
  bool operator==(const DeviceNode&) const = default;
};

struct LoadedModule {
  std::string name;
  std::string build_id;      ///< hex; empty if the kernel does not show one
  std::string state;         ///< "live", "coming" while its init runs, "going"
  std::string version;       ///< as the module says; empty if it says none
  std::string srcversion{};  ///< the same
};

/// A device on the PCI bus, and the driver that has it.
struct PciBinding {
  std::string address;          ///< "0000:01:00.0"
  std::string driver;           ///< "vfio-pci"
  std::string driver_override;  ///< the only driver that may have it; empty: whichever fits
  bool operator==(const PciBinding&) const = default;
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  /// Two read-only loop devices over the request's regions and a read-only dm-verity device over
  /// them. The loop devices go away with the dm-verity device. Undone inside if it fails half-way.
  virtual Result<VerityDevice> open_verity(const VerityRequest& request) = 0;
  /// Nothing if there is no device of that name. Errors: Errc::conflict if it is not dm-verity.
  virtual Result<std::optional<VerityDevice>> find_verity(const std::string& name) = 0;
  virtual Result<void> close_verity(const std::string& name) = 0;
  /// Reads the first block. Errors: Reason::data_corrupt if the kernel refuses it.
  virtual Result<void> read_first_block(const VerityDevice& device) = 0;

  /// Name of the device-mapper device with this number; nothing if it is none.
  virtual Result<std::optional<std::string>> find_verity_name(uint64_t device_number) = 0;
  /// The one file system on the device, one that an image may hold. Errors: Reason::image_malformed if there is none,
  /// more than one or another; Reason::data_corrupt if the kernel refuses a block.
  virtual Result<std::string> probe_file_system(const VerityDevice& device) = 0;

  virtual Result<void> mount(const MountRequest& request) = 0;
  /// A read-only loop device over the region, probed as above and mounted; it goes away with the mount.
  virtual Result<void> mount_region(const RegionMount& request) = 0;
  /// The topmost mount at exactly this place.
  virtual Result<std::optional<MountPoint>> find_mount(const std::string& target) = 0;
  virtual Result<void> unmount(const std::string& target) = 0;
  /// The topmost mount at this place and all below it are there no more; whoever has something open in them keeps it.
  virtual Result<void> detach(const std::string& target) = 0;

  /// A tree of the mounts at and below this place, which stay there: they may go, and the tree is still whole.
  virtual Result<std::unique_ptr<MountTree>> copy_tree(const std::string& target) = 0;
  /// Puts the tree to a place, in one move, instead of the topmost mount there with all below it, if there is one. If
  /// it fails, what was there still is. Errors: Reason::kernel_feature_missing before Linux 5.12.
  virtual Result<PlacedTree> place_tree(MountTree& tree, const std::string& place) = 0;

  /// Makes a node in place of whatever has that name, in one go: nobody can open it before its mode, owner and label
  /// are right. Its folder is there.
  virtual Result<void> make_node(const std::string& path, const DeviceNode& node) = 0;
  /// Nothing if there is no character device of that name.
  virtual Result<std::optional<DeviceNode>> find_node(const std::string& path) = 0;
  virtual Result<void> remove_node(const std::string& path) = 0;
  /// Mode and owner of a node that the kernel made, which stays the same one. Errors: Errc::conflict if it has another
  /// number.
  virtual Result<void> change_node(const std::string& path, const DeviceNode& node) = 0;
  /// The label that the host's policy has for a character device of that name; nothing where labels are nobody's
  /// matter.
  virtual Result<std::optional<std::string>> label_for(const std::string& path) = 0;

  /// Opens it and closes it again: a driver is behind it. One that is in use, or for others, is fine.
  virtual Result<void> open_node(const std::string& path) = 0;

  /// From now on a module that is not loaded by then is given up: CLOCK_MONOTONIC, microseconds; 0: never.
  virtual void limit_loading(uint64_t deadline_usec) = 0;
  /// Loads a module file. Errors carry the errno that the kernel gave; one without is Errc::not_found: there is no such
  /// file, which the kernel's ENOENT (of a symbol) does not mean. Reason::load_timeout, if its time was over:
  /// Errc::transient if the module is gone with it, Errc::conflict if its init cannot be ended.
  virtual Result<void> load_module(const std::string& path, const std::string& parameters) = 0;
  virtual Result<std::optional<LoadedModule>> find_module(const std::string& name) = 0;
  virtual Result<void> unload_module(const std::string& name) = 0;

  /// Takes a device from its driver; any driver may have it then. Nobody uses it: a driver that waits for a user is
  /// given up after ten seconds, Errc::conflict. As it was, if it fails.
  virtual Result<void> unbind_pci(const PciBinding& binding) = 0;
  /// Gives it to the driver, and to no other if it says so.
  virtual Result<void> bind_pci(const PciBinding& binding) = 0;

  /// Where the kernel looks for firmware before its own folders: absolute, or empty for nowhere.
  virtual Result<void> set_firmware_path(const std::string& path) = 0;
};

}  // namespace driverext
