#include "kernel/linux_kernel.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/text.hpp"
#include "kernel/device_mapper.hpp"
#include "kernel/device_node.hpp"
#include "kernel/driver_binding.hpp"
#include "kernel/file_labels.hpp"
#include "kernel/file_system_probe.hpp"
#include "kernel/kernel_log.hpp"
#include "kernel/loop.hpp"
#include "kernel/module_insertion.hpp"
#include "kernel/module_loader.hpp"
#include "kernel/module_refusal.hpp"
#include "kernel/mount.hpp"
#include "kernel/mount_tree.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr std::string_view kVerityTarget = "verity";

std::string number_text(uint64_t device) {
  return std::to_string(gnu_dev_major(device)) + ":" + std::to_string(gnu_dev_minor(device));
}

std::string node_of(uint64_t device) { return "/dev/dm-" + std::to_string(gnu_dev_minor(device)); }

// The table's words, as Documentation/admin-guide/device-mapper/verity.rst numbers them.
enum TableWord : size_t {
  kVersion,
  kDataDevice,
  kHashDevice,
  kDataBlockSize,
  kHashBlockSize,
  kDataBlocks,
  kHashStart,
  kAlgorithm,
  kRootHash,
  kSalt,
  kWords
};

Result<VerityDevice> describe(const std::string& name, const dm::Device& device) {
  const std::vector<std::string> words = split(device.table.parameters, ' ');
  const std::string blocks = std::to_string(device.table.sectors / (kBlock / 512));
  // No word more: among the optional ones are those that let corruption pass.
  if (device.table.type != kVerityTarget || words.size() != kWords || words[kVersion] != "1" ||
      words[kDataBlockSize] != "4096" || words[kHashBlockSize] != "4096" || words[kDataBlocks] != blocks ||
      words[kHashStart] != "1" || words[kAlgorithm] != "sha256" || !device.read_only) {
    return make_error(Errc::conflict, Reason::mount_conflict,
                      "device-mapper device " + name + " exists and is not what driverext makes");
  }
  VerityDevice verity;
  verity.node = node_of(device.device_number);
  verity.device_number = device.device_number;
  verity.root_hash = words[kRootHash];
  verity.salt = words[kSalt];
  verity.data_blocks = device.table.sectors / (kBlock / 512);
  // Only the first word: Linux 6.19 prints a second one.
  verity.corrupted = split(device.status, ' ').front() != "V";
  return verity;
}

class LinuxKernel final : public Kernel {
 public:
  explicit LinuxKernel(const Dir& root) : root_(root) {}

  Result<VerityDevice> open_verity(const VerityRequest& request) override {
    TRY(const LoopDevice data, attach_loop(request.fd, request.data_offset, request.data_size));
    TRY(const LoopDevice hash, attach_loop(request.fd, request.hash_offset, request.hash_size));
    dm::Table table;
    table.type = kVerityTarget;
    table.sectors = request.data_size / 512;
    // hash_start 1: the tree begins behind the superblock's block.
    table.parameters = "1 " + number_text(data.device_number) + " " + number_text(hash.device_number) + " 4096 4096 " +
                       std::to_string(request.data_size / kBlock) + " 1 sha256 " + request.root_hash + " " +
                       request.salt;
    TRY_VOID(dm::create(request.name, table));
    Undo remove([&] { (void)dm::remove(request.name); });
    // Read back what the kernel really runs: a table that differs is never mounted.
    Result<std::optional<dm::Device>> device = dm::find(request.name);
    const bool same = device && *device && (*device)->table.parameters == table.parameters &&
                      (*device)->table.type == table.type && (*device)->table.sectors == table.sectors;
    if (!device) return std::move(device).error();
    if (!same) {
      return make_error(Errc::untrusted, Reason::step_failed,
                        "the kernel's dm-verity table for " + request.name + " is not the one that was asked for");
    }
    TRY(VerityDevice verity, describe(request.name, **device));
    remove.commit();
    return verity;
  }

  Result<std::optional<VerityDevice>> find_verity(const std::string& name) override {
    TRY(const std::optional<dm::Device> device, dm::find(name));
    if (!device) return std::optional<VerityDevice>();
    TRY(VerityDevice verity, describe(name, *device));
    return std::optional(std::move(verity));
  }

  Result<void> close_verity(const std::string& name) override { return dm::remove(name); }

  Result<void> read_first_block(const VerityDevice& device) override {
    const UniqueFd fd(::open(device.node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return os_failure(errno, "cannot open " + device.node);
    Bytes block(kBlock);
    Result<void> read = read_exactly(fd.get(), block, 0, device.node);
    if (!read && read.error().os_error == EIO) {
      return make_error(Errc::untrusted, Reason::data_corrupt, "the first data block does not match its hash");
    }
    return read;
  }

  Result<std::optional<std::string>> find_verity_name(uint64_t device_number) override {
    TRY(const std::optional<std::string> name,
        root_.read_if_there("sys/dev/block/" + number_text(device_number) + "/dm/name", 256));
    if (!name) return std::optional<std::string>();
    return std::optional(std::string(trim(*name)));
  }

  Result<std::string> probe_file_system(const VerityDevice& device) override {
    const UniqueFd fd(::open(device.node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return os_failure(errno, "cannot open " + device.node);
    return driverext::probe_file_system(fd.get(), 0, 0, device.node);
  }

  Result<void> mount_region(const RegionMount& request) override {
    TRY(const LoopDevice loop, attach_loop(request.fd, request.offset, request.size));
    TRY(const std::string type, driverext::probe_file_system(loop.fd.get(), 0, 0, loop.node));
    return mount_filesystem({loop.node, request.target, type, request.options});
  }

  Result<void> mount(const MountRequest& request) override { return mount_filesystem(request); }
  Result<std::optional<MountPoint>> find_mount(const std::string& target) override { return find_mount_point(target); }
  Result<void> unmount(const std::string& target) override { return unmount_filesystem(target); }
  Result<void> detach(const std::string& target) override { return detach_mounts(target); }
  Result<std::unique_ptr<MountTree>> copy_tree(const std::string& target) override { return copy_mount_tree(target); }
  Result<PlacedTree> place_tree(MountTree& tree, const std::string& place) override {
    return place_mount_tree(tree, place);
  }

  Result<void> make_node(const std::string& path, const DeviceNode& node) override {
    return make_device_node(path, node);
  }
  Result<std::optional<DeviceNode>> find_node(const std::string& path) override { return find_device_node(path); }
  Result<void> remove_node(const std::string& path) override { return remove_device_node(path); }
  Result<void> change_node(const std::string& path, const DeviceNode& node) override {
    return change_device_node(path, node);
  }
  Result<std::optional<std::string>> label_for(const std::string& path) override {
    if (!labels_) labels_.emplace(root_);
    return labels_->label_for(path);
  }

  Result<void> open_node(const std::string& path) override { return try_device_node(path); }

  void limit_loading(uint64_t deadline_usec) override { load_deadline_usec_ = deadline_usec; }
  Result<void> load_module(const std::string& path, const std::string& parameters) override {
    const KernelLog log = KernelLog::from_now();
    Result<void> inserted = load_deadline_usec_ == 0 ? insertion_.insert(path, parameters)
                                                     : loader_.insert(path, parameters, load_deadline_usec_);
    if (inserted || inserted.error().os_error == 0) return inserted;
    // The kernel says the same of a symbol that it does not have.
    if (inserted.error().os_error == ENOENT && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
      return make_error(Errc::not_found, "there is no module file " + path);
    }
    inserted.error().what +=
        explain_refusal(inserted.error().os_error, module_name_of_path(path), log.lines(), loaded_modules());
    return inserted;
  }

  Result<std::optional<LoadedModule>> find_module(const std::string& name) override {
    const std::string folder = "sys/module/" + module_name_form(name);
    // "initstate" tells a loaded module from a built-in one, whose folder only holds parameters.
    TRY(const std::optional<std::string> state, root_.read_if_there(folder + "/initstate", 64));
    if (!state) return std::optional<LoadedModule>();
    LoadedModule module;
    module.name = module_name_form(name);
    module.state = trim(*state);
    TRY(const std::optional<std::string> version, root_.read_if_there(folder + "/version", 256));
    module.version = trim(version.value_or(""));
    TRY(const std::optional<std::string> srcversion, root_.read_if_there(folder + "/srcversion", 256));
    module.srcversion = trim(srcversion.value_or(""));
    TRY(const std::optional<std::string> note, root_.read_if_there(folder + "/notes/.note.gnu.build-id", 4096));
    // ELF note: 4-byte name size, descriptor size, type; "GNU\0"; then the id itself.
    constexpr size_t kNoteHead = 16;
    if (note && note->size() > kNoteHead) module.build_id = to_hex(as_bytes(std::string_view(*note).substr(kNoteHead)));
    return std::optional(std::move(module));
  }

  Result<void> unload_module(const std::string& name) override { return remove_module(name); }

  Result<void> unbind_pci(const PciBinding& binding) override { return unbind_pci_device(root_, binding); }
  Result<void> bind_pci(const PciBinding& binding) override { return bind_pci_device(root_, binding); }

  // No newline: the kernel would take it for part of the path. An empty one is written as one.
  Result<void> set_firmware_path(const std::string& path) override {
    constexpr std::string_view kFile = "sys/module/firmware_class/parameters/path";
    TRY(const UniqueFd fd, root_.open_file(kFile, O_WRONLY));
    return write_exactly(fd.get(), as_bytes(path.empty() ? "\n" : path), 0, root_.path_of(kFile));
  }

 private:
  // Those built in that have parameters are there too. None, if they cannot be listed.
  [[nodiscard]] std::vector<std::string> loaded_modules() const {
    Result<std::vector<std::string>> names = root_.list("sys/module");
    return names ? *std::move(names) : std::vector<std::string>();
  }

  const Dir& root_;
  uint64_t load_deadline_usec_ = 0;
  ModuleLoader loader_;
  ModuleInsertion insertion_;
  std::optional<FileLabels> labels_;  // reading the policy takes time
};

}  // namespace

std::unique_ptr<Kernel> make_linux_kernel(const Dir& root) { return std::make_unique<LinuxKernel>(root); }

}  // namespace driverext
