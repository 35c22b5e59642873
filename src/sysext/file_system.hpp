// The file system in an image: made by mksquashfs or mkfs.erofs, or brought along finished.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "sys/fd.hpp"
#include "sysext/image_tree.hpp"

namespace driverext {

enum class FileSystem { squashfs, erofs };
std::string_view file_system_name(FileSystem type);

struct PackOptions {
  FileSystem type = FileSystem::squashfs;
  int zstd_level = 15;   ///< squashfs; erofs is packed with lz4hc
  uint64_t created = 0;  ///< of everything in it, seconds since 1970
  Guid uuid{};           ///< of an erofs, bytes in the order of its text
  /// Blocks that hold the ends of several files: smaller for many little files. Without them damage in one file does
  /// not take others with it.
  enum class Fragments { none, shared } fragments = Fragments::none;
  /// Put before the command, to run it in a container where the folder of the output has the same path; mostly empty.
  std::vector<std::string> run_in;
  int cancel_fd = -1;
  /// Bytes of files taken in; squashfs only. From another thread, while the caller waits.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

/// Writes a squashfs into the file from `offset` on; `fd` is the same file, open. What was in it is gone.
Result<void> pack_squashfs(const TreeEntries& entries, const PackOptions& options, const std::string& file, int fd,
                           uint64_t offset);

/// Writes an erofs to a new file. `scratch` is an empty directory for the tree.
Result<void> pack_erofs(const TreeEntries& entries, const PackOptions& options, const std::string& file,
                        const std::string& scratch);

/// What is in a finished file system: by unsquashfs, or fsck.erofs. Of the files only the manifest is read.
struct FinishedFileSystem {
  UniqueFd fd;  ///< of the very file that was read
  FileSystem type = FileSystem::squashfs;
  uint64_t size = 0;  ///< bytes
  std::string manifest_text;
  TreeEntries entries;
};
/// Opened once: whoever replaces the file meanwhile changes nothing.
/// Errors: Errc::invalid_input if it is neither squashfs nor erofs, holds no manifest, or a name that cannot be told
/// from others in a listing (line breaks, " -> ").
Result<FinishedFileSystem> read_file_system(const std::string& file, int cancel_fd = -1);

}  // namespace driverext
