#include "sys/dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>

#include "base/text.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

enum class Links { follow, refuse_last };

int open_in_root(int dir, const std::string& name, int flags, Links links) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  if (links == Links::refuse_last) how.flags |= O_NOFOLLOW;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed or mounted, anywhere, while a ".." was looked at, so the kernel cannot say that it
  // stayed below the root (openat2(2)). At boot that happens.
  constexpr int kAttempts = 1000;
  int fd = -1;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fd = static_cast<int>(::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof(how)));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd;
}

// Makes a new name durable: `folder` is an O_PATH descriptor, which fsync does not take.
Result<void> sync_directory(int folder, const std::string& what) {
  const UniqueFd readable(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable && ::fsync(readable.get()) == 0) return {};
  return os_failure(errno, "cannot sync the directory of " + what);
}

std::string relative(std::string_view name) {
  while (name.starts_with('/')) name.remove_prefix(1);
  return name.empty() ? "." : std::string(name);
}

struct CloseDirStream {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

}  // namespace

// The open directory that holds a name, and the name's last component.
struct Dir::Parent {
  UniqueFd opened;  // none if it is this very directory
  int fd = -1;
  std::string leaf;
};

Result<Dir> Dir::open_root(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open directory " + path);
  std::unique_ptr<char, decltype(&::free)> absolute(::realpath(path.c_str(), nullptr), &::free);
  return Dir(std::move(fd), absolute ? absolute.get() : path);
}

std::string Dir::path_of(std::string_view name) const {
  const std::string tail = relative(name);
  if (tail == ".") return path_;
  return path_ == "/" ? "/" + tail : path_ + "/" + tail;
}

Result<Dir> Dir::open_dir(std::string_view name) const {
  UniqueFd fd(open_in_root(fd_.get(), relative(name), O_PATH | O_DIRECTORY, Links::follow));
  if (!fd) return os_failure(errno, "cannot open directory " + path_of(name));
  return Dir(std::move(fd), path_of(name));
}

Result<UniqueFd> Dir::open_file(std::string_view name, int flags) const {
  UniqueFd fd(open_in_root(fd_.get(), relative(name), flags, Links::follow));
  if (!fd) return os_failure(errno, "cannot open " + path_of(name));
  return fd;
}

Result<UniqueFd> Dir::open_no_follow(std::string_view name, int flags) const {
  UniqueFd fd(open_in_root(fd_.get(), relative(name), flags, Links::refuse_last));
  if (!fd) return os_failure(errno, "cannot open " + path_of(name));
  return fd;
}

Result<Dir::Parent> Dir::parent_of(std::string_view name) const {
  std::string full = relative(name);
  const size_t slash = full.rfind('/');
  Parent parent;
  parent.fd = fd_.get();
  parent.leaf = slash == std::string::npos ? full : full.substr(slash + 1);
  if (slash != std::string::npos) {
    const std::string folder = full.substr(0, slash);
    parent.opened = UniqueFd(open_in_root(fd_.get(), folder, O_PATH | O_DIRECTORY, Links::follow));
    if (!parent.opened) return os_failure(errno, "cannot open directory " + path_of(folder));
    parent.fd = parent.opened.get();
  }
  // The last component goes to system calls that know no RESOLVE_IN_ROOT.
  if (parent.leaf == "..") return make_error(Errc::invalid_input, path_of(name) + " ends in \"..\"");
  return parent;
}

Result<std::string> Dir::read_file(std::string_view name, size_t max_size) const {
  TRY(UniqueFd fd, open_file(name, O_RDONLY | O_NOCTTY));
  return read_fd(fd.get(), max_size, path_of(name));
}

Result<std::optional<std::string>> Dir::read_if_there(std::string_view name, size_t max_size) const {
  Result<std::string> content = read_file(name, max_size);
  if (content) return std::optional(*std::move(content));
  if (content.error().code == Errc::not_found || content.error().os_error == ENOTDIR) {
    return std::optional<std::string>();
  }
  return std::move(content).error();
}

Result<void> Dir::write_atomic(std::string_view name, std::string_view content, mode_t mode) const {
  return write(name, content, mode, 0);
}

Result<void> Dir::write_new(std::string_view name, std::string_view content, mode_t mode) const {
  Result<void> written = write(name, content, mode, RENAME_NOREPLACE);
  if (!written && written.error().os_error == EEXIST) {
    return make_error(Errc::conflict, path_of(name) + " exists already, and is not replaced");
  }
  return written;
}

// `flags` are those of renameat2.
Result<void> Dir::write(std::string_view name, std::string_view content, mode_t mode, unsigned flags) const {
  const std::string full = relative(name);
  if (const size_t slash = full.rfind('/'); slash != std::string::npos) {
    TRY_VOID(make_dirs(full.substr(0, slash), 0755));
  }
  TRY(Parent parent, parent_of(name));
  const std::string temporary = "." + parent.leaf + ".new-" + std::to_string(::getpid());
  ::unlinkat(parent.fd, temporary.c_str(), 0);  // left by a crash of an earlier process
  UniqueFd fd(::openat(parent.fd, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return os_failure(errno, "cannot create a file beside " + path_of(name));
  Undo remove([&] { ::unlinkat(parent.fd, temporary.c_str(), 0); });
  // Of a file that is replaced the owner stays: people give theirs to groups.
  struct stat before {};
  if (::fstatat(parent.fd, parent.leaf.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(before.st_mode) &&
      ::geteuid() == 0 && ::fchown(fd.get(), before.st_uid, before.st_gid) != 0) {
    return os_failure(errno, "cannot set owner of " + path_of(name));
  }
  if (::fchmod(fd.get(), mode) != 0) return os_failure(errno, "cannot set mode of " + path_of(name));
  TRY_VOID(write_exactly(fd.get(), as_bytes(content), 0, path_of(name)));
  if (::fsync(fd.get()) != 0) return os_failure(errno, "cannot sync " + path_of(name));
  if (::renameat2(parent.fd, temporary.c_str(), parent.fd, parent.leaf.c_str(), flags) != 0) {
    return os_failure(errno, "cannot write " + path_of(name));
  }
  remove.commit();
  return sync_directory(parent.fd, path_of(name));
}

Result<Written> Dir::write_if_changed(std::string_view name, std::string_view content, mode_t mode) const {
  TRY(const std::optional<struct stat> before, status(name));
  if (before && S_ISREG(before->st_mode) && (before->st_mode & 07777) == mode &&
      static_cast<uint64_t>(before->st_size) == content.size()) {
    TRY(const std::string old, read_file(name, content.size()));
    if (old == content) return Written::unchanged;
  }
  TRY_VOID(write_atomic(name, content, mode));
  return Written::changed;
}

Result<std::vector<std::string>> Dir::list(std::string_view name) const {
  UniqueFd fd(open_in_root(fd_.get(), relative(name), O_RDONLY | O_DIRECTORY, Links::follow));
  if (!fd) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return std::vector<std::string>();
    return os_failure(error, "cannot list " + path_of(name));
  }
  std::unique_ptr<DIR, CloseDirStream> stream(::fdopendir(fd.get()));
  if (!stream) return os_failure(errno, "cannot list " + path_of(name));
  (void)fd.release();  // the stream owns it now
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return os_failure(errno, "cannot list " + path_of(name));
      break;
    }
    const std::string_view text = entry->d_name;
    if (text != "." && text != "..") names.emplace_back(text);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<struct stat> Dir::own_status() const {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return os_failure(errno, "cannot look at " + path_);
  return info;
}

Result<std::optional<struct stat>> Dir::status(std::string_view name) const {
  Result<Parent> parent = parent_of(name);
  if (!parent) {
    if (parent.error().code == Errc::not_found) return std::optional<struct stat>();
    return std::move(parent).error();
  }
  struct stat info {};
  if (::fstatat(parent->fd, parent->leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return std::optional<struct stat>();
    return os_failure(error, "cannot look at " + path_of(name));
  }
  return std::optional(info);
}

Result<void> Dir::make_dirs(std::string_view name, mode_t mode) const {
  std::string so_far;
  for (const std::string& part : split(relative(name), '/')) {
    if (part.empty() || part == ".") continue;
    so_far += so_far.empty() ? part : "/" + part;
    TRY(Parent parent, parent_of(so_far));
    if (::mkdirat(parent.fd, parent.leaf.c_str(), mode) == 0) {
      // Whatever the umask is, as for files.
      if (::fchmodat(parent.fd, parent.leaf.c_str(), mode, 0) != 0) {
        return os_failure(errno, "cannot set mode of " + path_of(so_far));
      }
      TRY_VOID(sync_directory(parent.fd, path_of(so_far)));
    } else if (errno != EEXIST) {
      return os_failure(errno, "cannot make directory " + path_of(so_far));
    }
  }
  return {};
}

Result<void> Dir::make_link(std::string_view target, std::string_view name) const {
  Result<Parent> parent = parent_of(name);
  if (!parent && parent.error().code == Errc::not_found) {
    const std::string plain = relative(name);
    TRY_VOID(make_dirs(plain.substr(0, plain.rfind('/')), 0755));
    parent = parent_of(name);
  }
  if (!parent) return std::move(parent).error();
  const std::string temporary = "." + parent->leaf + ".new-" + std::to_string(::getpid());
  const auto make = [&] { return ::symlinkat(std::string(target).c_str(), parent->fd, temporary.c_str()) == 0; };
  // Left by a process that had the same number and was killed.
  const bool made = make() || (errno == EEXIST && ::unlinkat(parent->fd, temporary.c_str(), 0) == 0 && make());
  if (!made) return os_failure(errno, "cannot make link " + path_of(name));
  if (::renameat(parent->fd, temporary.c_str(), parent->fd, parent->leaf.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(parent->fd, temporary.c_str(), 0);
    return os_failure(error, "cannot make link " + path_of(name));
  }
  return {};
}

Result<std::optional<std::string>> Dir::read_link(std::string_view name) const {
  Result<Parent> parent = parent_of(name);
  if (!parent && parent.error().code == Errc::not_found) return std::optional<std::string>();
  if (!parent) return std::move(parent).error();
  std::array<char, PATH_MAX> target{};
  const ssize_t n = ::readlinkat(parent->fd, parent->leaf.c_str(), target.data(), target.size());
  if (n < 0 && (errno == ENOENT || errno == EINVAL)) return std::optional<std::string>();
  if (n < 0) return os_failure(errno, "cannot read link " + path_of(name));
  return std::optional(std::string(target.data(), static_cast<size_t>(n)));
}

Result<void> Dir::set_mode(std::string_view name, mode_t mode) const {
  TRY(const UniqueFd fd, open_no_follow(name, O_PATH));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return os_failure(errno, "cannot look at " + path_of(name));
  if (S_ISLNK(info.st_mode)) return make_error(Errc::invalid_input, path_of(name) + " is a symbolic link");
  if (::chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode) == 0) return {};
  return os_failure(errno, "cannot set mode of " + path_of(name));
}

Result<UniqueFd> Dir::open_lock(std::string_view name) const {
  const std::string plain = relative(name);
  if (const size_t slash = plain.rfind('/'); slash != std::string::npos) {
    TRY_VOID(make_dirs(plain.substr(0, slash), 0755));
  }
  TRY_VOID(make_dirs(plain, 0700));
  return open_file(plain, O_RDONLY | O_DIRECTORY);
}

Result<UniqueFd> Dir::lock_folder(std::string_view name, std::string_view busy) const {
  TRY(UniqueFd fd, open_lock(name));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return os_failure(errno, std::string(busy));
  return fd;
}

Result<UniqueFd> Dir::wait_for_lock(std::string_view name) const {
  TRY(UniqueFd fd, open_lock(name));
  if (::flock(fd.get(), LOCK_EX) != 0) return os_failure(errno, "cannot lock " + path_of(name));
  return fd;
}

Result<void> Dir::move(std::string_view from, std::string_view to, unsigned flags) const {
  TRY(Parent old_parent, parent_of(from));
  TRY(Parent new_parent, parent_of(to));
  if (::renameat2(old_parent.fd, old_parent.leaf.c_str(), new_parent.fd, new_parent.leaf.c_str(), flags) != 0) {
    return os_failure(errno, "cannot move " + path_of(from) + " to " + path_of(to));
  }
  TRY_VOID(sync_directory(old_parent.fd, path_of(from)));
  return sync_directory(new_parent.fd, path_of(to));
}

Result<void> Dir::rename(std::string_view from, std::string_view to) const { return move(from, to, RENAME_NOREPLACE); }

Result<void> Dir::replace(std::string_view from, std::string_view to) const {
  TRY_VOID(move(from, to, 0));
  return remove_file(from);  // still there if both are links to one file: then the kernel moves nothing
}

Result<void> Dir::remove_file(std::string_view name) const {
  TRY(Parent parent, parent_of(name));
  if (::unlinkat(parent.fd, parent.leaf.c_str(), 0) != 0 && errno != ENOENT) {
    return os_failure(errno, "cannot remove " + path_of(name));
  }
  return {};
}

Result<void> Dir::remove_dir(std::string_view name) const {
  TRY(Parent parent, parent_of(name));
  if (::unlinkat(parent.fd, parent.leaf.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return os_failure(errno, "cannot remove directory " + path_of(name));
  }
  return {};
}

Result<std::string> read_fd(int fd, size_t max_size, std::string_view what) {
  std::string content;
  size_t done = 0;
  struct stat info {};
  const size_t promised = ::fstat(fd, &info) == 0 && info.st_size > 0 ? static_cast<size_t>(info.st_size) : 0;
  // Sizes in /proc and /sys are not true, so the file is read until it ends, one byte past the limit.
  while (done <= max_size) {
    content.resize(std::min(max_size + 1, std::max({done * 2, promised + 1, size_t{4096}})));
    if (content.size() == done) break;
    const ssize_t n = ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return os_failure(errno, "cannot read " + std::string(what));
    }
    if (n == 0) {
      content.resize(done);
      return content;
    }
    done += static_cast<size_t>(n);
  }
  return make_error(Errc::invalid_input,
                    std::string(what) + " is larger than the " + human_size(max_size) + " that are accepted");
}

Result<void> read_exactly(int fd, std::span<std::byte> into, uint64_t offset, std::string_view what) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return os_failure(errno, "cannot read " + std::string(what));
    }
    if (n == 0) {
      return make_error(Errc::invalid_input, std::string(what) + " ends at byte " + std::to_string(offset + done) +
                                                 ", before what it says it holds");
    }
    done += static_cast<size_t>(n);
  }
  return {};
}

Result<void> sync_file(int fd, std::string_view what) {
  if (::fsync(fd) != 0) return os_failure(errno, "cannot sync " + std::string(what));
  return {};
}

Result<void> write_exactly(int fd, ByteSpan from, uint64_t offset, std::string_view what) {
  size_t done = 0;
  while (done < from.size()) {
    const ssize_t n = ::pwrite(fd, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return os_failure(errno, "cannot write " + std::string(what));
    }
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace driverext
