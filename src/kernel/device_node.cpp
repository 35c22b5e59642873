#include "kernel/device_node.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext {

Result<void> make_device_node(const std::string& path, const DeviceNode& node) {
  const std::string temporary = path + ".new-" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  if (::mknod(temporary.c_str(), S_IFCHR, gnu_dev_makedev(node.major, node.minor)) != 0) {
    return os_failure(errno, "cannot make device node " + path);
  }
  Undo remove_temporary([&] { ::unlink(temporary.c_str()); });
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
                                  found.st_uid, found.st_gid});
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
