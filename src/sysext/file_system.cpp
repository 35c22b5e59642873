#include "sysext/file_system.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>

#include "base/text.hpp"
#include "sys/dir.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "sys/undo.hpp"
#include "sysext/output_file.hpp"
#include "sysext/tar_stream.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr int kPipeSize = 1 << 20;
// So much comes before the disk is told to begin with it.
constexpr uint64_t kWriteBackStep = uint64_t{16} << 20;
constexpr size_t kMaxList = size_t{64} << 20;
// Linux fs/squashfs/squashfs_fs.h and fs/erofs/erofs_fs.h.
constexpr std::string_view kSquashfsMagic = "hsqs";
constexpr std::string_view kErofsMagic{"\xe2\xe1\xf5\xe0", 4};
constexpr size_t kErofsSuperblock = 1024;

// The command as it runs, in the container or not. A container does not pass our environment on.
ProgramRequest packer(std::vector<std::string> command, const PackOptions& options) {
  const std::string epoch = "SOURCE_DATE_EPOCH=" + std::to_string(options.created);
  if (!options.run_in.empty()) command.insert(command.begin(), {"env", epoch});
  command.insert(command.begin(), options.run_in.begin(), options.run_in.end());
  return {.argv = std::move(command), .added_environment = {epoch}, .cancel_fd = options.cancel_fd};
}

// Tells the disk of what mksquashfs has written so far, now and then.
class WriteBack {
 public:
  WriteBack(int fd, uint64_t offset) : fd_(fd), begun_(offset) {}
  void look() {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return;
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size < begun_ + kWriteBackStep) return;
    start_write_back(fd_, begun_, size - begun_);
    begun_ = size;
  }

 private:
  int fd_;
  uint64_t begun_;
};

// Runs the packer with the tree on its standard input.
Result<void> feed(const TreeEntries& entries, const PackOptions& options, ProgramRequest program,
                  WriteBack write_back) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_failure(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  (void)::fcntl(write_end.get(), F_SETPIPE_SZ, kPipeSize);  // a smaller one only costs time

  Result<void> written;
  std::thread writer([&] {
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);  // a packer that ends early is an error like others
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    written =
        write_tar(write_end.get(), entries, {.time = options.created, .progress = [&](uint64_t done, uint64_t total) {
                                               write_back.look();
                                               if (options.progress) options.progress(done, total);
                                             }});
    write_end.reset();
  });
  program.input_fd = read_end.get();
  Result<std::string> packed = run_program(program);
  read_end.reset();  // if nobody reads any more, the writer must not wait for it
  writer.join();
  // One that failed made the other one fail: EPIPE is never the cause.
  if (!written && (packed || written.error().os_error != EPIPE)) return written;
  if (!packed) return std::move(packed).error();
  return {};
}

Result<void> stage_tree(const TreeEntries& entries, const fs::path& target, int cancel_fd) {
  TRY(const Dir root, Dir::open_root(target.string()));
  for (const auto& [path, entry] : entries) {
    if (is_readable(cancel_fd)) return make_error(Errc::transient, "packing was interrupted");
    std::error_code error;
    const fs::path to = target / path;
    if (entry.type == TreeEntry::Type::link) {
      fs::create_symlink(entry.text, to, error);
    } else {
      if (entry.type == TreeEntry::Type::directory) {
        fs::create_directory(to, error);
      } else if (entry.source.empty()) {
        TRY_VOID(root.write_atomic(path, entry.text, 0644));
      } else {
        fs::copy_file(entry.source, to, error);
      }
      if (!error) fs::permissions(to, fs::perms(entry.mode_in_image()), error);
    }
    if (error) return os_failure(error.value(), "cannot copy " + (entry.source.empty() ? path : entry.source));
  }
  return {};
}

// The whole output of a program that lists or shows something.
Result<std::string> output_of(std::vector<std::string> argv, size_t max_size, int cancel_fd) {
  std::string text;
  TRY(const std::string tail, run_program({.argv = std::move(argv),
                                           .added_environment = {"LC_ALL=C", "TZ=UTC"},
                                           .cancel_fd = cancel_fd,
                                           .on_output = [&](std::string_view piece) {
                                             if (text.size() <= max_size) text += piece;
                                           }}));
  (void)tail;  // it may have lost its beginning
  if (text.size() > max_size) return make_error(Errc::invalid_input, "more than " + human_size(max_size) + " of it");
  return text;
}

// A line of `unsquashfs -lln`: "-rwxr-xr-x 0/0   123 2023-11-14 22:13 squashfs-root/usr/bin/x".
Result<void> take_listed(const std::string& line, TreeEntries& entries) {
  constexpr std::string_view kRoot = " squashfs-root/";
  constexpr std::string_view kArrow = " -> ";
  const size_t at = line.find(kRoot);
  if (at == std::string::npos || at < 10) return {};  // the root itself, and remarks
  std::string path = line.substr(at + kRoot.size());
  TreeEntry entry;
  switch (line[0]) {
    case 'd':
      break;
    case '-':
      entry.type = TreeEntry::Type::file;
      entry.mode = (line[3] == 'x' || line[3] == 's' ? S_IXUSR : 0U) |
                   (line[3] == 's' || line[3] == 'S' ? S_ISUID : 0U) |
                   (line[6] == 's' || line[6] == 'S' ? S_ISGID : 0U);
      break;
    case 'l': {
      const size_t arrow = path.find(kArrow);
      if (arrow == std::string::npos) return make_error(Errc::invalid_input, path + " is a link without a target");
      entry.type = TreeEntry::Type::link;
      entry.text = path.substr(arrow + kArrow.size());
      path.resize(arrow);
      break;
    }
    default:
      return make_error(Errc::invalid_input, path + " is neither file, directory nor symbolic link");
  }
  entries.emplace(std::move(path), std::move(entry));
  return {};
}

Result<void> read_squashfs(const std::string& file, int cancel_fd, FinishedFileSystem& found) {
  TRY(const std::string list, output_of({"unsquashfs", "-no-progress", "-lln", file}, kMaxList, cancel_fd));
  for (const std::string& line : split(list, '\n')) TRY_VOID(take_listed(line, found.entries));
  if (!found.entries.contains(std::string(kManifestPath))) return {};
  TRY(found.manifest_text,
      output_of({"unsquashfs", "-no-progress", "-cat", file, std::string(kManifestPath)}, kMaxManifestSize, cancel_fd));
  return {};
}

// erofs-utils 1.5 shows no single file: all of it is unpacked, to a place that goes away.
Result<void> read_erofs(const std::string& file, int cancel_fd, FinishedFileSystem& found) {
  std::error_code error;
  std::string scratch = (fs::temp_directory_path(error) / "driverext-erofs-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) return os_failure(errno, "cannot make a directory in /tmp");
  const Undo remove_scratch([&] {
    std::error_code ignored;
    fs::remove_all(scratch, ignored);
  });
  const std::string tree = scratch + "/tree";
  TRY(const std::string words,
      output_of({"fsck.erofs", "--extract=" + tree, "--no-preserve-owner", "--preserve-perms", file}, kMaxList,
                cancel_fd));
  (void)words;
  TRY(found.entries, list_tree({tree, ""}));
  TRY(const Dir root, Dir::open_root(tree));
  TRY(std::optional<std::string> text, root.read_if_there(kManifestPath, kMaxManifestSize));
  found.manifest_text = std::move(text).value_or("");
  return {};
}

Result<FinishedFileSystem> recognize(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return os_failure(errno, "cannot open " + file);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return os_failure(errno, "cannot look at " + file);
  FinishedFileSystem found;
  found.size = static_cast<uint64_t>(std::max<off_t>(info.st_size, 0));
  std::array<std::byte, kErofsSuperblock + 4> head{};
  if (S_ISREG(info.st_mode) && found.size >= head.size()) TRY_VOID(read_exactly(fd.get(), head, 0, file));
  const std::string_view text = as_text(head);
  if (text.starts_with(kSquashfsMagic)) return found;
  found.type = FileSystem::erofs;
  if (text.substr(kErofsSuperblock) == kErofsMagic) return found;
  return make_error(Errc::invalid_input, file + " is neither squashfs nor erofs");
}

}  // namespace

std::string_view file_system_name(FileSystem type) { return type == FileSystem::squashfs ? "squashfs" : "erofs"; }

Result<void> pack_squashfs(const TreeEntries& entries, const PackOptions& options, const std::string& file, int fd,
                           uint64_t offset) {
  std::vector<std::string> command = {"mksquashfs",
                                      "-",
                                      file,
                                      "-tar",
                                      "-offset",
                                      std::to_string(offset),
                                      "-comp",
                                      "zstd",
                                      "-Xcompression-level",
                                      std::to_string(options.zstd_level),
                                      "-noappend",
                                      "-no-progress",
                                      "-quiet",
                                      "-all-root",
                                      "-no-xattrs",
                                      "-no-exports",
                                      "-root-mode",
                                      "0755"};
  if (options.fragments == PackOptions::Fragments::none) command.emplace_back("-no-fragments");
  return feed(entries, options, packer(std::move(command), options), WriteBack(fd, offset));
}

Result<void> pack_erofs(const TreeEntries& entries, const PackOptions& options, const std::string& file,
                        const std::string& scratch) {
  TRY_VOID(stage_tree(entries, scratch, options.cancel_fd));
  std::error_code error;
  fs::permissions(scratch, fs::perms(0755), error);  // the root's mode
  if (error) return os_failure(error.value(), "cannot prepare " + scratch);
  std::string uuid = to_hex(options.uuid);
  for (const size_t at : {size_t{8}, size_t{13}, size_t{18}, size_t{23}}) uuid.insert(at, "-");
  // 64 KiB at once: as small as it gets, and read faster than squashfs.
  const std::vector<std::string> command = {
      "mkfs.erofs", "--quiet",    "-zlz4hc", "-C65536", "-x-1", "-T" + std::to_string(options.created),
      "-U" + uuid,  "--all-root", file,      scratch};
  Result<std::string> packed = run_program(packer(command, options));
  if (!packed) return std::move(packed).error();
  return {};
}

Result<FinishedFileSystem> read_file_system(const std::string& file, int cancel_fd) {
  TRY(FinishedFileSystem found, recognize(file));
  TRY_VOID(
      (found.type == FileSystem::squashfs ? read_squashfs : read_erofs)(file, cancel_fd, found).with_context(file));
  if (!found.manifest_text.empty()) return found;
  return make_error(Errc::invalid_input, file + " holds no " + std::string(kManifestPath) + "; put one into its tree");
}

}  // namespace driverext
