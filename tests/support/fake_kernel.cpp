#include "fake_kernel.hpp"

#include <linux/major.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "base/text.hpp"
#include "kernel/device_node.hpp"
#include "kernel/module_refusal.hpp"
#include "sysext/image_file.hpp"
#include "temp_dir.hpp"

namespace driverext::test {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kDeviceMapperMajor = 253;

bool is_region_of(int fd, uint64_t offset, uint64_t size) {
  struct stat info {};
  const auto file_size = ::fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
  return offset % 512 == 0 && size != 0 && offset <= file_size && size <= file_size - offset;
}

Error lacking(int os_error, const std::string& what) {
  Error error = os_failure(os_error, what);
  error.reason = Reason::kernel_feature_missing;
  return error;
}

std::string node_of(uint64_t number) { return "/dev/dm-" + std::to_string(gnu_dev_minor(number)); }

}  // namespace

std::string to_text(const KernelState& state) {
  std::ostringstream text;
  text << state.loops << " loop devices\n";
  for (const auto& [name, device] : state.devices) {
    text << "device " << name << " over " << device.root_hash << (device.closed ? ", closed\n" : "\n");
  }
  for (const auto& [target, mount] : state.mounts) text << "mount " << mount.source << " at " << target << '\n';
  for (const auto& [target, mounts] : state.beneath) text << mounts.size() << " mounts beneath " << target << '\n';
  for (const auto& [path, node] : state.nodes) {
    text << "node " << path << ' ' << node.major << ':' << node.minor << ' ' << std::oct << node.mode << std::dec << ' '
         << node.owner << ':' << node.group << (node.label.empty() ? "" : " ") << node.label << '\n';
  }
  for (const auto& [address, device] : state.pci) {
    text << "pci " << address << ' ' << device.driver << ' ' << device.driver_override << '\n';
  }
  if (!state.firmware_path.empty()) text << "firmware path " << state.firmware_path << '\n';
  for (const auto& [name, build_id] : state.modules) text << "module " << name << ' ' << build_id << '\n';
  return text.str();
}

void FakeKernel::add_image(const std::string& root_hash, std::map<std::string, std::string> files,
                           std::map<std::string, std::string> links) {
  images_[root_hash] = {std::move(files), std::move(links)};
}

void FakeKernel::add_module_file(FakeModuleFile file) {
  const std::string key = file.image + "/" + file.name;
  module_files_[key] = std::move(file);
}

void FakeKernel::add_number(FakeNumber number) {
  numbers_.push_back(std::move(number));
  write_numbers();
}

void FakeKernel::place_device(const std::string& name, const std::string& root_hash, const std::string& salt,
                              uint64_t data_blocks) {
  tables_[name] = {salt, data_blocks};
  state_.devices[name] = {gnu_dev_makedev(kDeviceMapperMajor, static_cast<unsigned>(next_device_++)), root_hash, false};
  state_.loops += 2;
}

void FakeKernel::place_mount(const std::string& target) {
  state_.mounts[target] = {"tmpfs", gnu_dev_makedev(0, 99), "tmpfs"};
}

void FakeKernel::place_module(const std::string& name, const std::string& build_id) {
  state_.modules[module_name_form(name)] = build_id;
  write_modules();
}

void FakeKernel::show_modules() {
  shows_modules_ = true;
  write_modules();
}

void FakeKernel::use_module(const std::string& name, unsigned times) {
  module_uses_[module_name_form(name)] = times;
  write_modules();
}

void FakeKernel::fail_call(int n, int os_error) { failing_call_ = {side_effects_ + n, os_error}; }
void FakeKernel::fail_question(int n, int os_error) { failing_question_ = {questions_ + n, os_error}; }

void FakeKernel::forget_calls() {
  calls_.clear();
  side_effects_ = 0;
  questions_ = 0;
  failing_call_ = {};
  failing_question_ = {};
}

Result<void> FakeKernel::side_effect(const std::string& call) {
  calls_.push_back(call);
  if (++side_effects_ == failing_call_.at) return os_failure(failing_call_.os_error, "made to fail: " + call);
  return {};
}

Result<void> FakeKernel::question() {
  if (++questions_ == failing_question_.at) return os_failure(failing_question_.os_error, "question made to fail");
  return {};
}

bool FakeKernel::has(const std::string& feature) const {
  return built_in_.contains(feature) || state_.modules.contains(feature);
}

VerityDevice FakeKernel::describe(const std::string& name) const {
  const KernelState::Device& device = state_.devices.at(name);
  VerityDevice verity;
  verity.node = node_of(device.number);
  verity.device_number = device.number;
  verity.root_hash = device.root_hash;
  verity.salt = tables_.at(name).salt;
  verity.data_blocks = tables_.at(name).data_blocks;
  verity.corrupted = corrupted_.contains(name);
  if (misreport_) misreport_(verity);
  return verity;
}

Result<VerityDevice> FakeKernel::open_verity(const VerityRequest& request) {
  TRY_VOID(side_effect("open_verity " + request.name));
  if (!has("loop")) return lacking(ENOENT, "cannot open /dev/loop-control");
  if (!has("dm_verity")) return lacking(EINVAL, "the kernel refused the dm-verity table of " + request.name);
  if (state_.devices.contains(request.name))
    return os_failure(EBUSY, "cannot make device-mapper device " + request.name);
  Bytes superblock(kVerityBlock);
  if (!is_region_of(request.fd, request.data_offset, request.data_size) ||
      !is_region_of(request.fd, request.hash_offset, request.hash_size) ||
      !read_exactly(request.fd, superblock, request.hash_offset, "superblock") ||
      !parse_verity_superblock(superblock) || request.root_hash.size() != 2 * sizeof(Digest)) {
    return os_failure(EINVAL, "the kernel refused the dm-verity table of " + request.name);
  }
  place_device(request.name, request.root_hash, request.salt, request.data_size / kVerityBlock);
  return describe(request.name);
}

Result<std::optional<VerityDevice>> FakeKernel::find_verity(const std::string& name) {
  TRY_VOID(question());
  if (!state_.devices.contains(name)) return std::optional<VerityDevice>();
  return std::optional(describe(name));
}

Result<void> FakeKernel::close_verity(const std::string& name) {
  TRY_VOID(side_effect("close_verity " + name));
  const auto device = state_.devices.find(name);
  if (device == state_.devices.end()) return {};
  device->second.closed = true;
  remove_closed_devices();
  return {};
}

Result<void> FakeKernel::read_first_block(const VerityDevice& device) {
  TRY_VOID(question());
  for (const auto& [name, known] : state_.devices) {
    if (known.number != device.device_number) continue;
    if (corruption_ != Corruption::first_block) return {};
    corrupted_.insert(name);
    return make_error(Errc::untrusted, Reason::data_corrupt, "the first data block does not match its hash");
  }
  return os_failure(ENXIO, "cannot open " + device.node);
}

Result<std::optional<std::string>> FakeKernel::find_verity_name(uint64_t device_number) {
  TRY_VOID(question());
  for (const auto& [name, device] : state_.devices) {
    if (device.number == device_number) return std::optional(name);
  }
  return std::optional<std::string>();
}

std::string FakeKernel::file_system_of(const std::string& root_hash) const {
  const auto set = file_systems_.find(root_hash);
  return set == file_systems_.end() ? "squashfs" : set->second;
}

Result<std::string> FakeKernel::probe_file_system(const VerityDevice& device) {
  TRY_VOID(question());
  for (const auto& [name, known] : state_.devices) {
    if (known.number != device.device_number) continue;
    std::string type = file_system_of(known.root_hash);
    if (type == "squashfs" || type == "erofs") return type;
    return make_error(Errc::untrusted, Reason::image_malformed, "no file system that is accepted on " + device.node);
  }
  return os_failure(ENXIO, "cannot open " + device.node);
}

namespace {

bool is_below(const std::string& path, const std::string& folder) { return path.starts_with(folder + "/"); }

// Files, folders and links; what else there is cannot be copied, and nobody here looks at it.
void copy_content(const fs::path& from, const fs::path& to) {
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path target = to / entry.path().filename();
    if (entry.is_symlink()) {
      fs::copy_symlink(entry.path(), target);
    } else if (entry.is_directory()) {
      fs::create_directory(target);
      copy_content(entry.path(), target);
    } else if (entry.is_regular_file()) {
      fs::copy_file(entry.path(), target);
    }
  }
}

}  // namespace

Result<void> FakeKernel::bind(const MountRequest& request) {
  if (!fs::is_directory(request.source)) return os_failure(ENOENT, "no directory " + request.source);
  uint64_t number = 0;  // the root's own
  size_t longest = 0;
  for (const auto& [target, mount] : state_.mounts) {
    if ((request.source != target && !is_below(request.source, target)) || target.size() < longest) continue;
    number = mount.number;
    longest = target.size();
  }
  copy_content(request.source, request.target);
  std::map<std::string, KernelState::Mount> copies = {{request.target, {request.source, number, "bind"}}};
  for (const auto& [target, mount] : state_.mounts) {
    if (!request.options.starts_with("rbind") || !is_below(target, request.source)) continue;
    copies[request.target + target.substr(request.source.size())] = {request.source, mount.number, "bind"};
  }
  state_.mounts.merge(copies);
  return {};
}

Result<void> FakeKernel::show_image(const std::string& root_hash, const std::string& target) {
  const auto image = images_.find(root_hash);
  if (image == images_.end()) return os_failure(EINVAL, "no file system for " + target);
  for (const auto& [path, text] : image->second.files) write_file(target + "/" + path, text, 0444);
  for (const auto& [path, points_to] : image->second.links) fs::create_symlink(points_to, target + "/" + path);
  return {};
}

// Which image it is stands in the file, not in the region.
Result<void> FakeKernel::mount_region(const RegionMount& request) {
  TRY_VOID(side_effect("mount_region " + request.target));
  if (!has("loop")) return lacking(ENOENT, "cannot open /dev/loop-control");
  if (!fs::is_directory(request.target)) return os_failure(ENOENT, "no mount point " + request.target);
  if (state_.mounts.contains(request.target)) return os_failure(EBUSY, request.target + " is mounted upon");
  TRY(const ImageFile file, ImageFile::open(UniqueFd(::dup(request.fd)), "region"));
  const std::string root_hash = to_hex(file.signature_block().root_hash);
  const std::string type = file_system_of(root_hash);
  if (request.offset != file.data().offset || request.size != file.data().size || !has(type)) {
    return os_failure(ENODEV, "cannot mount " + type);
  }
  TRY_VOID(show_image(root_hash, request.target));
  state_.loops += 1;
  const auto number = gnu_dev_makedev(LOOP_MAJOR, static_cast<unsigned>(next_device_++));
  state_.mounts[request.target] = {"/dev/loop", number, type};
  return {};
}

Result<void> FakeKernel::mount(const MountRequest& request) {
  TRY_VOID(side_effect("mount " + request.target));
  if (!fs::is_directory(request.target)) return os_failure(ENOENT, "no mount point " + request.target);
  if (state_.mounts.contains(request.target)) return os_failure(EBUSY, request.target + " is mounted upon");
  if (request.type.empty()) return bind(request);
  if (request.type == "tmpfs") {
    state_.mounts[request.target] = {request.source, 1'000 + next_device_++, request.type};
    return {};
  }
  if (!has(request.type)) return os_failure(ENODEV, "unknown file system type " + request.type);
  for (const auto& [name, device] : state_.devices) {
    if (node_of(device.number) != request.source) continue;
    if (file_system_of(device.root_hash) != request.type) {
      return os_failure(EINVAL, "no " + request.type + " on " + request.source);
    }
    TRY_VOID(show_image(device.root_hash, request.target));
    state_.mounts[request.target] = {request.source, device.number, request.type};
    return {};
  }
  return os_failure(ENOENT, "no device " + request.source);
}

Result<std::optional<MountPoint>> FakeKernel::find_mount(const std::string& target) {
  TRY_VOID(question());
  const auto mount = state_.mounts.find(target);
  if (mount == state_.mounts.end()) return std::optional<MountPoint>();
  const auto under = state_.beneath.find(target);
  const size_t covered = under == state_.beneath.end() ? 0 : under->second.size();
  return std::optional(
      MountPoint{mount->second.number, mount->second.type, mount->second.source, static_cast<unsigned>(covered) + 1});
}

Result<void> FakeKernel::unmount(const std::string& target) {
  TRY_VOID(side_effect("unmount " + target));
  const auto found = state_.mounts.find(target);
  if (found == state_.mounts.end()) return os_failure(EINVAL, target + " is not mounted");
  for (const auto& [other, mount] : state_.mounts) {
    if (is_below(other, target)) return os_failure(EBUSY, other + " is mounted below " + target);
  }
  if (used_mounts_.contains(target)) return os_failure(EBUSY, target + " is in use");
  if (gnu_dev_major(found->second.number) == LOOP_MAJOR) state_.loops -= 1;  // autoclear
  detach_top(target);
  return {};
}

void FakeKernel::place_node(const std::string& path, const DeviceNode& node) {
  write_file(path, "");
  state_.nodes[path] = node;
}

Result<void> FakeKernel::detach(const std::string& target) {
  TRY_VOID(side_effect("detach " + target));
  if (!state_.mounts.contains(target)) return os_failure(EINVAL, target + " is not mounted");
  detach_top(target);
  return {};
}

// Mounts by where they are below the tree's top ("" is the top itself), and what is in their files.
class FakeKernel::Tree final : public MountTree {
 public:
  explicit Tree(FakeKernel& kernel) : kernel_(kernel) { kernel_.trees_.insert(this); }
  ~Tree() override {
    kernel_.trees_.erase(this);
    kernel_.remove_closed_devices();
  }

  std::map<std::string, KernelState::Mount> mounts;
  TempDir content;
  bool is_placed = false;

 private:
  FakeKernel& kernel_;
};

void FakeKernel::fill(Tree& tree, const std::string& target) {
  for (const auto& [place, mount] : state_.mounts) {
    if (place == target || is_below(place, target)) tree.mounts[place.substr(target.size())] = mount;
  }
  copy_content(target, tree.content.path());
}

void FakeKernel::detach_top(const std::string& target) {
  std::erase_if(state_.mounts,
                [&](const auto& entry) { return entry.first == target || is_below(entry.first, target); });
  for (const fs::directory_entry& entry : fs::directory_iterator(target)) fs::remove_all(entry.path());
  const auto under = covered_.find(target);
  if (under != covered_.end()) {
    Tree& next = *under->second.back();
    for (const auto& [place, mount] : next.mounts) state_.mounts[target + place] = mount;
    copy_content(next.content.path(), target);
    under->second.pop_back();
    state_.beneath[target].pop_back();
    if (under->second.empty()) {
      covered_.erase(under);
      state_.beneath.erase(target);
    }
  }
  remove_closed_devices();
}

Result<std::unique_ptr<MountTree>> FakeKernel::copy_tree(const std::string& target) {
  TRY_VOID(side_effect("copy_tree " + target));
  if (!state_.mounts.contains(target)) return os_failure(EINVAL, target + " is not mounted");
  auto tree = std::make_unique<Tree>(*this);
  fill(*tree, target);
  return std::unique_ptr<MountTree>(std::move(tree));
}

Result<PlacedTree> FakeKernel::place_tree(MountTree& tree, const std::string& place) {
  TRY_VOID(side_effect("place_tree " + place));
  auto& placed = dynamic_cast<Tree&>(tree);
  if (placed.is_placed) return os_failure(EINVAL, "this tree is somewhere already");
  if (!fs::is_directory(place)) return os_failure(ENOENT, "no mount point " + place);
  if (state_.beneath.contains(place)) return os_failure(EBUSY, "no driver root stays on top of another one");
  PlacedTree result;
  if (state_.mounts.contains(place)) {
    auto before = std::make_unique<Tree>(*this);
    fill(*before, place);
    result.how = has_beneath_ ? Placing::beneath : Placing::swapped;
    result.before = std::move(before);
    detach_top(place);
  }
  for (const auto& [below, mount] : placed.mounts) state_.mounts[place + below] = mount;
  copy_content(placed.content.path(), place);
  placed.is_placed = true;
  placings_.push_back(result.how);
  return result;
}

void FakeKernel::place_root(const std::string& target, const std::map<std::string, std::string>& files) {
  fs::create_directories(target);
  if (const auto mounted = state_.mounts.find(target); mounted != state_.mounts.end()) {
    state_.beneath[target].push_back(mounted->second);
    auto covered = std::make_shared<Tree>(*this);
    fill(*covered, target);
    covered_[target].push_back(std::move(covered));
    std::erase_if(state_.mounts, [&](const auto& entry) { return is_below(entry.first, target); });
    for (const fs::directory_entry& entry : fs::directory_iterator(target)) fs::remove_all(entry.path());
  }
  state_.mounts[target] = {"driverext", 1'000 + next_device_++, "tmpfs"};
  for (const auto& [name, text] : files) write_file(target + "/" + name, text);
}

void FakeKernel::let_go_of_image(const std::string& root_hash) {
  held_images_.erase(root_hash);
  remove_closed_devices();
}

bool FakeKernel::is_used(const KernelState::Device& device) const {
  const auto is_it = [&](const auto& entry) { return entry.second.number == device.number; };
  const auto has_it = [&](const auto& mounts) { return std::any_of(mounts.begin(), mounts.end(), is_it); };
  return held_images_.contains(device.root_hash) || has_it(state_.mounts) ||
         std::any_of(trees_.begin(), trees_.end(),
                     [&](const Tree* tree) { return !tree->is_placed && has_it(tree->mounts); });
}

void FakeKernel::remove_closed_devices() {
  for (auto device = state_.devices.begin(); device != state_.devices.end();) {
    if (!device->second.closed || is_used(device->second)) {
      ++device;
      continue;
    }
    device = state_.devices.erase(device);
    state_.loops -= 2;
  }
}

Result<void> FakeKernel::make_node(const std::string& path, const DeviceNode& node) {
  TRY_VOID(side_effect("make_node " + path));
  if (!fs::is_directory(fs::path(path).parent_path())) return os_failure(ENOENT, "no folder for " + path);
  if (fs::is_directory(fs::symlink_status(path))) return os_failure(EISDIR, "cannot make device node " + path);
  fs::remove(path);
  place_node(path, node);
  return {};
}

Result<std::optional<DeviceNode>> FakeKernel::find_node(const std::string& path) {
  TRY_VOID(question());
  const auto node = state_.nodes.find(path);
  if (node == state_.nodes.end()) return std::optional<DeviceNode>();
  return std::optional(node->second);
}

Result<void> FakeKernel::remove_node(const std::string& path) {
  TRY_VOID(side_effect("remove_node " + path));
  fs::remove(path);
  state_.nodes.erase(path);
  return {};
}

// Those that the kernel made are files here: it is their mode and owner that change.
Result<void> FakeKernel::change_node(const std::string& path, const DeviceNode& node) {
  TRY_VOID(side_effect("change_node " + path));
  return change_device_node(path, node);
}

Result<std::optional<std::string>> FakeKernel::label_for(const std::string& path) {
  TRY_VOID(question());
  const auto label = labels_.find(fs::path(path).parent_path().filename().string());
  if (label == labels_.end()) return std::optional<std::string>();
  return std::optional(label->second);
}

// The image's own, else the one that every image and the host share.
const FakeModuleFile* FakeKernel::module_file_at(const std::string& path) const {
  const std::string name = module_name_form(fs::path(path).stem().string());
  for (const auto& [target, mount] : state_.mounts) {
    if (!is_below(path, target)) continue;
    for (const auto& [device_name, device] : state_.devices) {
      const auto file = module_files_.find(device.root_hash + "/" + name);
      if (device.number == mount.number && file != module_files_.end()) return &file->second;
    }
  }
  const auto file = module_files_.find("/" + name);
  return file == module_files_.end() ? nullptr : &file->second;
}

Result<void> FakeKernel::open_node(const std::string& path) {
  TRY_VOID(question());
  const auto unanswered = unanswered_.find(path);
  if (unanswered != unanswered_.end())
    return os_failure(unanswered->second, "device node " + path + " cannot be opened");
  if (!state_.nodes.contains(path)) return os_failure(ENOENT, "device node " + path + " cannot be opened");
  return {};
}

Result<void> FakeKernel::load_module(const std::string& path, const std::string& parameters) {
  TRY_VOID(side_effect("load_module " + path));
  if (!exists(path)) return make_error(Errc::not_found, "there is no module file " + path);
  const FakeModuleFile* file = module_file_at(path);
  if (file == nullptr) return os_failure(ENOEXEC, "the kernel refused module " + path);
  const FakeModuleFile& module = *file;
  if (module.refused_with == ETIMEDOUT) {
    Error error =
        make_error(Errc::transient, Reason::load_timeout, "module " + path + " did not finish loading in time");
    error.os_error = ETIMEDOUT;
    return error;
  }
  if (module.refused_with != 0) {
    return os_failure(module.refused_with, "the kernel refused module " + path +
                                               explain_refusal(module.refused_with, module.name, module.says));
  }
  for (const auto& [target, mount] : state_.mounts) {
    if (corruption_ != Corruption::module_block || !path.starts_with(target + "/")) continue;
    for (const auto& [name, device] : state_.devices) {
      if (device.number == mount.number) corrupted_.insert(name);
    }
    return os_failure(EIO, "the kernel refused module " + path);
  }
  if (state_.modules.contains(module.name)) return os_failure(EEXIST, "the kernel refused module " + path);
  for (const std::string& need : module.depends) {
    if (!has(need)) {
      return os_failure(ENOENT, "the kernel refused module " + path + explain_refusal(ENOENT, module.name, {}));
    }
  }
  state_.modules[module.name] = module.build_id;
  parameters_[module.name] = parameters;
  if (module.works) {
    at_work_.insert(module.name);
    show_devices(module.name);
  }
  write_modules();
  return {};
}

std::vector<std::string> FakeKernel::users_of(const std::string& module) const {
  std::vector<std::string> users;
  for (const auto& [key, file] : module_files_) {
    const auto loaded = state_.modules.find(file.name);
    if (loaded == state_.modules.end() || loaded->second != file.build_id) continue;
    if (std::find(file.depends.begin(), file.depends.end(), module) != file.depends.end()) users.push_back(file.name);
  }
  return users;
}

void FakeKernel::write_modules() const {
  if (!shows_modules_) return;
  const std::string top = root_.path_of("sys/module");
  fs::create_directories(top);
  for (const fs::directory_entry& entry : fs::directory_iterator(top)) {
    if (entry.path().filename() != "firmware_class") fs::remove_all(entry.path());  // built in
  }
  for (const auto& [name, build_id] : state_.modules) {
    const std::vector<std::string> users = users_of(name);
    const auto uses = module_uses_.find(name);
    const size_t count = users.size() + (uses == module_uses_.end() ? 0 : uses->second);
    write_file(top + "/" + name + "/refcnt", std::to_string(count) + "\n");
    fs::create_directories(top + "/" + name + "/holders");
    for (const std::string& user : users) {
      fs::create_symlink("../../" + user, top + ("/" + name + "/holders/" + user));
    }
  }
}

Result<std::optional<LoadedModule>> FakeKernel::find_module(const std::string& name) {
  TRY_VOID(question());
  const auto module = state_.modules.find(module_name_form(name));
  if (module == state_.modules.end()) return std::optional<LoadedModule>();
  LoadedModule loaded{module->first, module->second, "live", ""};
  for (const auto& [key, file] : module_files_) {
    if (file.name != loaded.name || file.build_id != loaded.build_id) continue;
    loaded.state = file.state;
    loaded.version = file.version;
  }
  return std::optional(std::move(loaded));
}

Result<void> FakeKernel::unload_module(const std::string& name) {
  TRY_VOID(side_effect("unload_module " + name));
  const std::string form = module_name_form(name);
  if (!state_.modules.contains(form)) return os_failure(ENOENT, "module " + name + " is not loaded");
  const std::vector<std::string> users = users_of(form);
  if (!users.empty()) return os_failure(EBUSY, "module " + name + " is used by " + users.front());
  const auto uses = module_uses_.find(form);
  if (uses != module_uses_.end() && uses->second != 0) return os_failure(EBUSY, "module " + name + " is in use");
  if ((form == "dm_verity" || form == "loop") && !state_.devices.empty()) return os_failure(EBUSY, form + " is in use");
  for (const auto& [target, mount] : state_.mounts) {
    if (form == mount.type) return os_failure(EBUSY, form + " is in use");
  }
  at_work_.erase(form);
  hide_devices(form);
  state_.modules.erase(form);
  write_modules();
  return {};
}

void FakeKernel::place_pci(const PciBinding& binding, const std::string& modalias) {
  const std::string folder = "sys/bus/pci/devices/" + binding.address;
  write_file(root_.path_of(folder + "/modalias"), modalias + "\n");
  show_pci(binding);
}

void FakeKernel::show_pci(const PciBinding& binding) {
  const std::string folder = "sys/bus/pci/devices/" + binding.address;
  const std::string only = binding.driver_override.empty() ? "(null)" : binding.driver_override;
  write_file(root_.path_of(folder + "/driver_override"), only + "\n");
  if (root_.make_link("../../../bus/pci/drivers/" + binding.driver, folder + "/driver")) {
    state_.pci[binding.address] = binding;
  }
}

Result<void> FakeKernel::unbind_pci(const PciBinding& binding) {
  TRY_VOID(side_effect("unbind_pci " + binding.address));
  const auto device = state_.pci.find(binding.address);
  if (device == state_.pci.end() || device->second.driver != binding.driver) {
    return os_failure(ENODEV, binding.driver + " does not have " + binding.address);
  }
  state_.pci.erase(device);
  const std::string folder = "sys/bus/pci/devices/" + binding.address;
  write_file(root_.path_of(folder + "/driver_override"), "(null)\n");
  return root_.remove_file(folder + "/driver");
}

Result<void> FakeKernel::bind_pci(const PciBinding& binding) {
  TRY_VOID(side_effect("bind_pci " + binding.address));
  if (state_.pci.contains(binding.address)) return os_failure(EBUSY, binding.address + " has a driver");
  show_pci(binding);
  return {};
}

Result<void> FakeKernel::set_firmware_path(const std::string& path) {
  TRY_VOID(side_effect("set_firmware_path " + path));
  constexpr const char* kFile = "sys/module/firmware_class/parameters/path";
  if (!exists(root_.path_of(kFile))) return os_failure(ENOENT, "cannot set the firmware path");
  state_.firmware_path = path;
  write_file(root_.path_of(kFile), path + "\n");
  return {};
}

// As the kernel writes it: the name may stand there for other numbers too, and block devices follow.
void FakeKernel::write_numbers() const {
  std::ostringstream text;
  text << "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n";
  for (const FakeNumber& number : numbers_) {
    if (at_work_.contains(number.module)) text << std::setw(3) << number.major << ' ' << number.name << '\n';
  }
  text << "\nBlock devices:\n  7 loop\n";
  for (const FakeNumber& number : numbers_) text << "  9 " << number.name << '\n';  // never to be taken for ours
  write_file(root_.path_of("proc/devices"), text.str());
}

void FakeKernel::show_devices(const std::string& module) const {
  if (!numbers_.empty()) write_numbers();
  for (const Report& report : reports_) {
    if (report.module == module) write_file(root_.path_of(report.name), report.text);
  }
  for (const FakeDevice& device : devices_) {
    if (device.module != module) continue;
    write_file(root_.path_of(device.sysfs_number),
               std::to_string(device.major) + ":" + std::to_string(device.minor) + "\n");
    const std::string node = root_.path_of(device.node);
    fs::create_directories(fs::path(node).parent_path());
    (void)::mknod(node.c_str(), S_IFCHR | 0600, gnu_dev_makedev(device.major, device.minor));
  }
}

void FakeKernel::hide_devices(const std::string& module) const {
  if (!numbers_.empty()) write_numbers();
  for (const Report& report : reports_) {
    if (report.module != module) continue;
    fs::path gone = root_.path_of(report.name);
    // And the folders that it stood in.
    std::error_code ignored;
    do fs::remove(gone, ignored);
    while (gone = gone.parent_path(), gone != root_.path_of("proc") && fs::is_empty(gone, ignored));
  }
  for (const FakeDevice& device : devices_) {
    if (device.module != module) continue;
    ::unlink(root_.path_of(device.sysfs_number).c_str());
    ::unlink(root_.path_of(device.node).c_str());
  }
}

Result<std::vector<HostModule>> FakeHostModules::load_order(const std::string& name) {
  const auto order = orders_.find(name);
  if (order != orders_.end()) return order->second;
  return make_error(Errc::not_found, Reason::dependency_missing, "the host has no module " + name);
}

bool may_make_nodes() {
  const TempDir scratch;
  return ::mknod((scratch / "node").c_str(), S_IFCHR | 0600, gnu_dev_makedev(81, 0)) == 0;
}

}  // namespace driverext::test
