#include "kernel/mount_tree.hpp"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/mount.hpp"
#include "sys/fd.hpp"

// umount2 only: the C library's header and the kernel's define the same names.
extern "C" int umount2(const char* target, int flags) noexcept;

namespace driverext {
namespace {

// Linux 6.5; not in Debian 12's headers.
constexpr unsigned kBeneath = 0x200;     // MOVE_MOUNT_BENEATH
constexpr int kLazily = 2;               // MNT_DETACH
constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE
constexpr uint64_t kPrivate = 1 << 18;   // MS_PRIVATE

class LinuxMountTree final : public MountTree {
 public:
  explicit LinuxMountTree(UniqueFd descriptor) : fd(std::move(descriptor)) {}
  UniqueFd fd;
};

Error failure(int os_error, const std::string& what) {
  Error error = os_failure(os_error, what);
  if (os_error == ENOSYS) error.reason = Reason::kernel_feature_missing;
  return error;
}

// 0, or errno.
int move_tree(int tree, const std::string& place, unsigned flags) {
  const long moved = ::syscall(SYS_move_mount, tree, "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH | flags);
  return moved == 0 ? 0 : errno;
}

}  // namespace

Result<void> detach_mounts(const std::string& target) {
  if (::umount2(target.c_str(), kLazily) == 0) return {};
  return os_failure(errno, "cannot detach what is mounted at " + target);
}

Result<std::unique_ptr<MountTree>> copy_mount_tree(const std::string& target) {
  const std::string what = "cannot copy the mounts at " + target;
  const long opened = ::syscall(SYS_open_tree, AT_FDCWD, target.c_str(), OPEN_TREE_CLONE | O_CLOEXEC | kRecursive);
  if (opened < 0) return failure(errno, what);
  UniqueFd fd(static_cast<int>(opened));
  // A copy of a shared mount is its peer: what was unmounted from the original would go from the copy too. Only of the
  // top one: what is below stays a slave of what it was a slave of.
  mount_attr attributes{};
  attributes.propagation = kPrivate;
  if (::syscall(SYS_mount_setattr, fd.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) {
    return failure(errno, what);
  }
  return std::unique_ptr<MountTree>(std::make_unique<LinuxMountTree>(std::move(fd)));
}

Result<PlacedTree> place_mount_tree(MountTree& tree, const std::string& place) {
  const std::string what = "cannot put the mounts into place at " + place;
  auto* moved = dynamic_cast<LinuxMountTree*>(&tree);
  if (moved == nullptr) return os_failure(EINVAL, what);
  PlacedTree placed;
  TRY(const auto mounted, find_mount_point(place));
  if (!mounted) {
    if (const int error = move_tree(moved->fd.get(), place, 0); error != 0) return failure(error, what);
    return placed;
  }
  TRY(placed.before, copy_mount_tree(place));
  if (move_tree(moved->fd.get(), place, kBeneath) == 0) {
    placed.how = Placing::beneath;
    // The move makes lookups that are under way start again, slowly. One that is between two folders of the old tree
    // when that is taken apart finds an empty one: let them come through first.
    (void)::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
    TRY_VOID(detach_mounts(place));
    return placed;
  }
  // Whatever kept it from going beneath: without a tree in the way it is an ordinary move.
  placed.how = Placing::swapped;
  TRY_VOID(detach_mounts(place));
  const int error = move_tree(moved->fd.get(), place, 0);
  if (error == 0) return placed;
  (void)move_tree(dynamic_cast<LinuxMountTree&>(*placed.before).fd.get(), place, 0);
  return failure(error, what);
}

}  // namespace driverext
