#include "kernel/mount.hpp"

#include <libmount/libmount.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "sys/stream.hpp"

namespace driverext {
namespace {

struct FreeContext {
  void operator()(libmnt_context* context) const { mnt_free_context(context); }
};
struct UnrefTable {
  void operator()(libmnt_table* table) const { mnt_unref_table(table); }
};
struct FreeIterator {
  void operator()(libmnt_iter* iterator) const { mnt_free_iter(iterator); }
};
using Context = std::unique_ptr<libmnt_context, FreeContext>;

// libmount's return code as an error: what the system call said, if one was made.
Result<void> outcome(libmnt_context* context, int code, const std::string& what) {
  if (code == 0) return {};
  std::array<char, 256> text{};
  mnt_context_get_excode(context, code, text.data(), text.size());
  const int error =
      mnt_context_syscall_called(context) != 0 ? mnt_context_get_syscall_errno(context) : (code < 0 ? -code : EIO);
  Error failure = os_failure(error, what + (text[0] != '\0' ? std::string(" (") + text.data() + ")" : ""));
  if (error == ENODEV) failure.reason = Reason::kernel_feature_missing;  // unknown file system type
  return failure;
}

}  // namespace

Result<void> mount_filesystem(const MountRequest& request) {
  const Context context(mnt_new_context());
  if (!context) return os_failure(ENOMEM, "cannot mount " + request.target);
  mnt_context_set_source(context.get(), request.source.c_str());
  mnt_context_set_target(context.get(), request.target.c_str());
  if (!request.type.empty()) mnt_context_set_fstype(context.get(), request.type.c_str());
  mnt_context_set_options(context.get(), request.options.c_str());
  // No helpers (/sbin/mount.TYPE) and no utab entry: this is a plain kernel mount.
  mnt_context_disable_helpers(context.get(), 1);
  mnt_context_disable_mtab(context.get(), 1);
  return outcome(context.get(), mnt_context_mount(context.get()),
                 "cannot mount " + request.source + " at " + request.target);
}

Result<std::optional<MountPoint>> find_mount_point(const std::string& target) {
  const std::unique_ptr<libmnt_table, UnrefTable> table(mnt_new_table_from_file("/proc/self/mountinfo"));
  if (!table) return os_failure(errno, "cannot read /proc/self/mountinfo");
  libmnt_fs* entry = mnt_table_find_target(table.get(), target.c_str(), MNT_ITER_BACKWARD);
  if (entry == nullptr) return std::optional<MountPoint>();
  const auto text = [](const char* word) { return std::string(word != nullptr ? word : ""); };
  MountPoint point{mnt_fs_get_devno(entry), text(mnt_fs_get_fstype(entry)), text(mnt_fs_get_source(entry)), 0};
  const std::unique_ptr<libmnt_iter, FreeIterator> iterator(mnt_new_iter(MNT_ITER_FORWARD));
  if (!iterator) return os_failure(ENOMEM, "cannot read /proc/self/mountinfo");
  while (mnt_table_next_fs(table.get(), iterator.get(), &entry) == 0) {
    const char* place = mnt_fs_get_target(entry);
    if (place != nullptr && target == place) ++point.stacked;
  }
  point.stacked = std::max(point.stacked, 1U);
  return std::optional(std::move(point));
}

Result<std::vector<std::string>> mount_points_in(const std::string& mountinfo) {
  std::vector<std::string> places;
  if (mountinfo.empty()) return places;
  const std::unique_ptr<libmnt_table, UnrefTable> table(mnt_new_table());
  // Opened to be read only: it is not written to.
  const UniqueStream text(::fmemopen(const_cast<char*>(mountinfo.data()), mountinfo.size(), "r"));
  const std::unique_ptr<libmnt_iter, FreeIterator> iterator(mnt_new_iter(MNT_ITER_FORWARD));
  if (!table || !text || !iterator) return os_failure(ENOMEM, "cannot read what is mounted");
  if (const int code = mnt_table_parse_stream(table.get(), text.get(), "mountinfo"); code < 0) {
    return os_failure(-code, "cannot read what is mounted");
  }
  libmnt_fs* entry = nullptr;
  while (mnt_table_next_fs(table.get(), iterator.get(), &entry) == 0) {
    if (const char* place = mnt_fs_get_target(entry); place != nullptr) places.emplace_back(place);
  }
  return places;
}

Result<void> unmount_filesystem(const std::string& target) {
  const Context context(mnt_new_context());
  if (!context) return os_failure(ENOMEM, "cannot unmount " + target);
  mnt_context_set_target(context.get(), target.c_str());
  mnt_context_disable_helpers(context.get(), 1);
  mnt_context_disable_mtab(context.get(), 1);
  return outcome(context.get(), mnt_context_umount(context.get()), "cannot unmount " + target);
}

}  // namespace driverext
