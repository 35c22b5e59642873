// Dir: a directory handle that names are resolved inside of.
//
// Nothing in driverext takes a bare absolute path: a host is a Dir (its root) plus a relative name,
// resolved by openat2 with RESOLVE_IN_ROOT, so that `--root=` and test fixtures behave like a
// chroot, symbolic links included.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

/// Whether a write changed what was there.
enum class Written { changed, unchanged };

class Dir {
 public:
  /// Opens a directory by an ordinary path: only for roots given by a person or the command line.
  static Result<Dir> open_root(const std::string& path);

  /// An absolute path for messages, and for the few kernel calls that take nothing else.
  [[nodiscard]] std::string path_of(std::string_view name) const;

  [[nodiscard]] Result<Dir> open_dir(std::string_view name) const;
  /// open(2) flags without O_CREAT; O_CLOEXEC is added.
  [[nodiscard]] Result<UniqueFd> open_file(std::string_view name, int flags) const;
  /// As open_file, but refuses a symbolic link in the last component.
  [[nodiscard]] Result<UniqueFd> open_no_follow(std::string_view name, int flags) const;

  /// Errors: Errc::invalid_input if the file is larger than `max_size` bytes.
  [[nodiscard]] Result<std::string> read_file(std::string_view name, size_t max_size) const;
  /// As read_file; an absent file is nothing.
  [[nodiscard]] Result<std::optional<std::string>> read_if_there(std::string_view name, size_t max_size) const;
  /// Temporary file, fsync, rename, fsync of the directory. Parents are made (0755). The owner of a file that is
  /// replaced stays, if this process may give files away.
  [[nodiscard]] Result<void> write_atomic(std::string_view name, std::string_view content, mode_t mode) const;
  /// As write_atomic, but whatever has that name already stays. Errors: Errc::conflict.
  [[nodiscard]] Result<void> write_new(std::string_view name, std::string_view content, mode_t mode) const;
  /// As write_atomic, but a file that already has this content is not touched.
  [[nodiscard]] Result<Written> write_if_changed(std::string_view name, std::string_view content, mode_t mode) const;

  /// Names in a directory, sorted, without "." and ".."; an absent directory has none.
  [[nodiscard]] Result<std::vector<std::string>> list(std::string_view name) const;
  /// Of this directory itself.
  [[nodiscard]] Result<struct stat> own_status() const;
  /// lstat; absent is nothing.
  [[nodiscard]] Result<std::optional<struct stat>> status(std::string_view name) const;
  [[nodiscard]] Result<void> make_dirs(std::string_view name, mode_t mode) const;
  /// Of a file or directory that is there. A symbolic link in the last component is refused.
  [[nodiscard]] Result<void> set_mode(std::string_view name, mode_t mode) const;
  /// A symbolic link to `target`, in place of whatever file or link has that name, in one go. Parents are made.
  [[nodiscard]] Result<void> make_link(std::string_view target, std::string_view name) const;
  /// What a symbolic link says; nothing if there is none of that name.
  [[nodiscard]] Result<std::optional<std::string>> read_link(std::string_view name) const;
  /// An exclusive lock on a folder of its own, made if it is not there, that only root may open: whoever can open it
  /// can lock it, and of a file made for the purpose two that start together would each lock their own. Held until the
  /// descriptor is closed. Errors: Errc::transient, with the words of `busy`, if somebody else has it.
  [[nodiscard]] Result<UniqueFd> lock_folder(std::string_view name, std::string_view busy) const;
  /// The same, once whoever has it gives it up. A signal that ends the program ends the waiting.
  [[nodiscard]] Result<UniqueFd> wait_for_lock(std::string_view name) const;
  /// Refuses to replace what is at `to`.
  [[nodiscard]] Result<void> rename(std::string_view from, std::string_view to) const;
  /// Takes the place of what is at `to`, in one go: if it fails, both are as they were.
  [[nodiscard]] Result<void> replace(std::string_view from, std::string_view to) const;
  /// An absent file or empty-directory is fine.
  [[nodiscard]] Result<void> remove_file(std::string_view name) const;
  [[nodiscard]] Result<void> remove_dir(std::string_view name) const;

 private:
  Dir(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  struct Parent;
  [[nodiscard]] Result<Parent> parent_of(std::string_view name) const;
  [[nodiscard]] Result<UniqueFd> open_lock(std::string_view name) const;
  [[nodiscard]] Result<void> write(std::string_view name, std::string_view content, mode_t mode, unsigned flags) const;
  [[nodiscard]] Result<void> move(std::string_view from, std::string_view to, unsigned flags) const;

  UniqueFd fd_;
  std::string path_;
};

/// Reads a whole open file of at most `max_size` bytes, from its beginning.
Result<std::string> read_fd(int fd, size_t max_size, std::string_view what);
/// pread until the span is full. Errors: Errc::invalid_input if the file ends first.
Result<void> read_exactly(int fd, std::span<std::byte> into, uint64_t offset, std::string_view what);
/// fsync.
Result<void> sync_file(int fd, std::string_view what);
/// pwrite all of it.
Result<void> write_exactly(int fd, ByteSpan from, uint64_t offset, std::string_view what);

}  // namespace driverext
