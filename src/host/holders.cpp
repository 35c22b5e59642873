#include "host/holders.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <set>

#include "base/text.hpp"
#include "host/host_files.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxMappings = size_t{32} << 20;
constexpr size_t kShortId = 12;  // as docker ps and crictl ps print them

std::optional<int> pid_of(const std::string& name) {
  int pid = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (code != std::errc() || end != name.data() + name.size() || pid <= 0) return std::nullopt;
  return pid;
}

std::string without_deleted(std::string path) {
  constexpr std::string_view kGone = " (deleted)";
  if (path.ends_with(kGone)) path.resize(path.size() - kGone.size());
  return path;
}

class Search {
 public:
  Search(const Dir& root, const HolderQuery& query) : root_(root), query_(query) {
    // What follows a link of the kernel's gets to the open file itself; a link of any other tree would lead out of it.
    const Result<UniqueFd> proc = root.open_file("proc", O_PATH | O_DIRECTORY);
    struct statfs info {};
    is_live_ = proc && ::fstatfs(proc->get(), &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
  }

  Result<ProcessHolders> run() {
    TRY(const std::vector<std::string> names, root_.list("proc"));
    for (const std::string& name : names) {
      if (const auto pid = pid_of(name)) look_at(*pid);
    }
    auto& found = found_.processes;
    std::sort(found.begin(), found.end(), [](const ProcessHolder& a, const ProcessHolder& b) { return a.pid < b.pid; });
    return std::move(found_);
  }

 private:
  void look_at(int pid) {
    ProcessHolder holder;
    holder.pid = pid;
    const std::string folder = "proc/" + std::to_string(pid);
    const bool has_files = look_at_files(folder + "/fd", holder);
    // Its first thread may have ended, and its descriptors with it, while others go on.
    if (!has_files) look_at_threads(folder, holder);
    if (query_.depth == HolderQuery::Depth::mappings) look_at_mappings(folder, holder);
    if (holder.handles.empty()) return;
    if (const auto name = read_fact(root_, folder + "/comm")) holder.name = trim(*name);
    if (const auto groups = read_fact(root_, folder + "/cgroup")) holder.group = parse_control_group(*groups);
    found_.processes.push_back(std::move(holder));
  }

  // What another user's process has open is not for everybody; one that is gone has nothing.
  void note_unseen(const Error& error) {
    if (error.os_error == EACCES || error.os_error == EPERM) found_.all_seen = false;
  }

  // True if there was any descriptor, or no way to know.
  bool look_at_files(const std::string& folder, ProcessHolder& holder) {
    const Result<std::vector<std::string>> files = root_.list(folder);
    if (!files) {
      note_unseen(files.error());
      return true;
    }
    if (files->empty()) return false;
    const Result<UniqueFd> opened = root_.open_file(folder, O_RDONLY | O_DIRECTORY);
    for (const std::string& file : *files) {
      if (opened) look_at_link(opened->get(), folder + "/" + file, file, holder);
    }
    return true;
  }

  void look_at_threads(const std::string& folder, ProcessHolder& holder) {
    const Result<std::vector<std::string>> threads = root_.list(folder + "/task");
    if (!threads || threads->size() < 2) return;
    for (const std::string& thread : *threads) (void)look_at_files(folder + "/task/" + thread + "/fd", holder);
  }

  void look_at_link(int folder, const std::string& name, const std::string& leaf, ProcessHolder& holder) {
    std::array<char, PATH_MAX> buffer{};
    const ssize_t size = ::readlinkat(folder, leaf.c_str(), buffer.data(), buffer.size());
    // Sockets, pipes and the like have no path.
    if (size <= 0 || buffer[0] != '/') return;
    const std::string path = without_deleted(std::string(buffer.data(), static_cast<size_t>(size)));
    if (!leads_to_device(folder, name, leaf, path)) return;
    holder.handles.push_back(name);
    if (std::find(holder.devices.begin(), holder.devices.end(), path) == holder.devices.end()) {
      holder.devices.push_back(path);
    }
  }

  [[nodiscard]] bool leads_to_device(int folder, const std::string& name, const std::string& leaf,
                                     const std::string& path) const {
    if (is_live_) {
      // Not synchronised: a file of a server that does not answer would never tell.
      struct statx info {};
      if (::statx(folder, leaf.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &info) != 0) return false;
      return S_ISCHR(info.stx_mode) && has_number(info.stx_rdev_major, info.stx_rdev_minor);
    }
    // Not opened: a device would notice.
    const Result<UniqueFd> target = root_.open_file(name, O_PATH);
    struct stat info {};
    if (target && ::fstat(target->get(), &info) == 0 && S_ISCHR(info.st_mode)) {
      return has_number(gnu_dev_major(info.st_rdev), gnu_dev_minor(info.st_rdev));
    }
    return std::any_of(query_.nodes.begin(), query_.nodes.end(),
                       [&](const std::string& node) { return is_node_of(path, node); });
  }

  [[nodiscard]] bool has_number(unsigned major, unsigned minor) const {
    return std::any_of(query_.devices.begin(), query_.devices.end(), [&](const DeviceNumbers& numbers) {
      return numbers.major == major && (!numbers.minor || *numbers.minor == minor);
    });
  }

  // proc_pid_maps(5): "from-to access offset device inode   path". The device is the file system's, so each file that
  // stands in a folder for devices is asked what it is; links to them are in map_files, named by their addresses.
  void look_at_mappings(const std::string& folder, ProcessHolder& holder) {
    const Result<std::string> text = root_.read_file(folder + "/maps", kMaxMappings);
    if (!text) {
      note_unseen(text.error());
      return;
    }
    const std::string files = folder + "/map_files";
    const Result<UniqueFd> opened = root_.open_file(files, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      note_unseen(opened.error());
      return;
    }
    std::set<std::string> seen;
    for (const std::string_view line : lines_of(*text)) {
      const size_t at = line.find('/');
      if (at == std::string_view::npos) continue;
      const std::string path(line.substr(at));
      // Libraries are mapped in several pieces, and there are many of them.
      if (path.find(".so") != std::string::npos || !seen.insert(path).second) continue;
      const std::string range(line.substr(0, line.find(' ')));
      look_at_link(opened->get(), files + "/" + range, range, holder);
    }
  }

  const Dir& root_;
  const HolderQuery& query_;
  bool is_live_ = false;
  ProcessHolders found_;
};

Result<std::optional<ModuleUse>> read_module_use(const Dir& root, const std::string& name) {
  constexpr size_t kMaxNumber = 64;
  const std::string folder = "sys/module/" + name;
  // What is built in has neither; where modules cannot be unloaded they have no use count.
  TRY(const auto text, root.read_if_there(folder + "/refcnt", kMaxNumber));
  TRY(const auto state, root.status(folder + "/initstate"));
  if (!text && !state) return std::optional<ModuleUse>();
  ModuleUse use;
  use.name = name;
  use.is_removable = text.has_value();
  const std::string_view digits = trim(text ? std::string_view(*text) : std::string_view());
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), use.references);
  TRY(use.used_by, root.list(folder + "/holders"));
  return std::optional(std::move(use));
}

}  // namespace

bool is_node_of(std::string_view path, std::string_view pattern) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) return path == pattern;
  const size_t shut = pattern.find('}', open);
  const std::string_view tail = shut == std::string_view::npos ? std::string_view() : pattern.substr(shut + 1);
  if (!path.starts_with(pattern.substr(0, open)) || !path.ends_with(tail) || path.size() <= open + tail.size()) {
    return false;
  }
  const std::string_view digits = path.substr(open, path.size() - open - tail.size());
  return digits.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<ProcessHolders> find_process_holders(const Dir& root, const HolderQuery& query) {
  return Search(root, query).run();
}

std::string process_text(const ProcessHolder& holder) {
  const ControlGroup& group = holder.group;
  std::string text = holder.name.empty() ? "process" : printable(holder.name);
  text += " (pid " + std::to_string(holder.pid);
  if (!group.unit.empty()) text += ", " + printable(group.unit);
  if (!group.container.empty()) {
    const bool is_name = group.engine == "machine" || group.engine == "lxc";
    text += ", container " + printable(is_name ? group.container : group.container.substr(0, kShortId));
  }
  if (!group.pod.empty()) text += ", pod " + printable(group.pod);
  return text + ")";
}

std::string holder_text(const ProcessHolder& holder) {
  std::string devices;
  for (size_t i = 0; i < holder.devices.size(); ++i) {
    const bool is_last = i + 1 == holder.devices.size();
    devices += (i == 0 ? "" : is_last ? " and " : ", ") + printable(holder.devices[i]);
  }
  return process_text(holder) + " has " + devices + " open";
}

Result<std::vector<ModuleUse>> read_module_uses(const Dir& root, const std::vector<std::string>& names) {
  std::vector<ModuleUse> uses;
  std::set<std::string> seen;
  std::vector<std::string> next;
  for (const std::string& name : names) next.push_back(module_name_form(name));
  while (!next.empty()) {
    std::vector<std::string> above;
    for (const std::string& name : next) {
      if (!seen.insert(name).second) continue;
      TRY(std::optional<ModuleUse> use, read_module_use(root, name));
      if (!use) continue;
      above.insert(above.end(), use->used_by.begin(), use->used_by.end());
      uses.push_back(*std::move(use));
    }
    next = std::move(above);
  }
  return uses;
}

}  // namespace driverext
