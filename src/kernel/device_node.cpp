#include "kernel/device_node.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

constexpr const char* kLabel = "security.selinux";
constexpr size_t kMaxLabel = 4096;

// A host without labels refuses the question; then there is none.
std::string label_of(const std::string& path) {
  std::array<char, kMaxLabel> label{};
  const ssize_t n = ::lgetxattr(path.c_str(), kLabel, label.data(), label.size());
  if (n <= 0) return {};
  return {label.data(), ::strnlen(label.data(), static_cast<size_t>(n))};
}

}  // namespace

Result<void> make_device_node(const std::string& path, const DeviceNode& node) {
  const std::string temporary = path + ".new-" + std::to_string(::getpid());
  const auto make = [&] { return ::mknod(temporary.c_str(), S_IFCHR, gnu_dev_makedev(node.major, node.minor)) == 0; };
  // Left by a process that had the same number and was killed.
  const bool made = make() || (errno == EEXIST && ::unlink(temporary.c_str()) == 0 && make());
  if (!made) return os_failure(errno, "cannot make device node " + path);
  Undo remove_temporary([&] { ::unlink(temporary.c_str()); });
  // With the terminating zero, as libselinux has it.
  if (!node.label.empty() && node.label != label_of(temporary) &&
      ::lsetxattr(temporary.c_str(), kLabel, node.label.c_str(), node.label.size() + 1, 0) != 0) {
    return os_failure(errno, "cannot label device node " + path + " as " + node.label);
  }
  // Owner before mode: chown clears bits. Until both are right nobody but root may open it.
  if (::chown(temporary.c_str(), node.owner, node.group) != 0 || ::chmod(temporary.c_str(), node.mode) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    return os_failure(errno, "cannot make device node " + path);
  }
  remove_temporary.commit();
  return {};
}

Result<std::optional<DeviceNode>> find_device_node(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return std::optional<DeviceNode>();
    return os_failure(errno, "cannot look at " + path);
  }
  if (!S_ISCHR(found.st_mode)) return std::optional<DeviceNode>();
  return std::optional(DeviceNode{gnu_dev_major(found.st_rdev), gnu_dev_minor(found.st_rdev), found.st_mode & 07777U,
                                  found.st_uid, found.st_gid, label_of(path)});
}

Result<void> change_device_node(const std::string& path, const DeviceNode& node) {
  // What is looked at is what is changed, whatever has the name meanwhile.
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat found {};
  if (!fd || ::fstat(fd.get(), &found) != 0) return os_failure(errno, "cannot open device node " + path);
  if (!S_ISCHR(found.st_mode) || found.st_rdev != gnu_dev_makedev(node.major, node.minor)) {
    return make_error(Errc::conflict, path + " is another device by now");
  }
  const std::string itself = "/proc/self/fd/" + std::to_string(fd.get());
  if (::fchownat(fd.get(), "", node.owner, node.group, AT_EMPTY_PATH) != 0 || ::chmod(itself.c_str(), node.mode) != 0) {
    return os_failure(errno, "cannot change mode and owner of " + path);
  }
  return {};
}

Result<void> try_device_node(const std::string& path) {
  // Not controlling, not waiting: only whether a driver answers.
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (fd || errno == EBUSY || errno == EACCES || errno == EPERM) return {};
  return os_failure(errno, "device node " + path + " cannot be opened");
}

Result<void> remove_device_node(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os_failure(errno, "cannot remove " + path);
  return {};
}

}  // namespace driverext
