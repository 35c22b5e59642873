#include "sysext/file_system.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>

#include "base/text.hpp"
#include "sys/dir.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "sys/scratch_folder.hpp"
#include "sysext/output_file.hpp"
#include "sysext/tar_stream.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr std::array kPipeSizes = {16 << 20, 1 << 20};  // root may; everybody may
// So much comes before the disk is told to begin with it.
constexpr uint64_t kWriteBackStep = uint64_t{16} << 20;
constexpr size_t kMaxList = size_t{64} << 20;
// Linux fs/squashfs/squashfs_fs.h and fs/erofs/erofs_fs.h.
constexpr std::string_view kSquashfsMagic = "hsqs";
constexpr std::string_view kErofsMagic{"\xe2\xe1\xf5\xe0", 4};
constexpr size_t kErofsSuperblock = 1024;
// The open file as the programs that read it find it: on their standard input, opened anew, since they need to seek.
constexpr const char* kStandardInput = "/proc/self/fd/0";

// The command as it runs, in the container or not. A container does not pass our environment on.
ProgramRequest packer(std::vector<std::string> command, const PackOptions& options) {
  const std::string epoch = "SOURCE_DATE_EPOCH=" + std::to_string(options.created);
  if (!options.run_in.empty()) command.insert(command.begin(), {"env", epoch});
  command.insert(command.begin(), options.run_in.begin(), options.run_in.end());
  return {.argv = std::move(command), .added_environment = {epoch}, .cancel_fd = options.cancel_fd};
}

// Has what mksquashfs has written so far brought to the disk, so that little is left when it has ended. On a thread of
// its own that leaves the processors to others: the call takes as long as the disk's queue is full.
class WriteBack {
 public:
  WriteBack(int fd, uint64_t offset)
      : thread_([fd, begun = offset](const std::stop_token& stop) mutable {
          (void)::setpriority(PRIO_PROCESS, 0, kLowestPriority);  // Linux: of this thread alone
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any nothing;  // but the end of the packer
          while (!stop.stop_requested()) {
            nothing.wait_for(lock, stop, kLook, [] { return false; });
            struct stat info {};
            const uint64_t size = ::fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
            if (size < begun + kWriteBackStep) continue;
            start_write_back(fd, begun, size - begun);
            begun = size;
          }
        }) {}

 private:
  static constexpr std::chrono::milliseconds kLook{20};
  static constexpr int kLowestPriority = 19;
  std::jthread thread_;
};

// Runs the packer with the tree on its standard input.
Result<void> feed(const TreeEntries& entries, const PackOptions& options, ProgramRequest program) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_failure(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  for (const int size : kPipeSizes) {  // a smaller one only costs time
    if (::fcntl(write_end.get(), F_SETPIPE_SZ, size) >= 0) break;
  }

  Result<void> written;
  std::thread writer([&] {
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);  // a packer that ends early is an error like others
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    written = write_tar(write_end.get(), entries, {.time = options.created, .progress = options.progress});
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

// The whole output of a program that lists or shows something of an open file.
Result<std::string> output_of(std::vector<std::string> argv, int file, size_t max_size, int cancel_fd) {
  std::string text;
  TRY(const std::string tail, run_program({.argv = std::move(argv),
                                           .added_environment = {"LC_ALL=C", "TZ=UTC"},
                                           .input_fd = file,
                                           .cancel_fd = cancel_fd,
                                           .on_output = [&](std::string_view piece) {
                                             if (text.size() <= max_size) text += piece;
                                           }}));
  (void)tail;  // it may have lost its beginning
  if (text.size() > max_size) return make_error(Errc::invalid_input, "more than " + human_size(max_size) + " of it");
  return text;
}

// A line of `unsquashfs -lln`: "-rwxr-xr-x 0/0   123 2023-11-14 22:13 squashfs-root/usr/bin/x".
struct ListedLine {
  std::string mode;
  std::string size;  // of a link: of its target
  std::string name;  // to the end of the line
};

Error cannot_be_told(const std::string& line) {
  return make_error(Errc::invalid_input,
                    "a file name with a line break or \" -> \" in it, or not a listing at all: " + printable(line));
}

// Names are printed as they are. One with a line break goes on in a line that is none, since no name has a "/" in it,
// and owner and group have one between them.
Result<ListedLine> split_listed(const std::string& line) {
  constexpr std::string_view kRoot = "squashfs-root";
  std::array<std::string, 5> fields;  // mode, owner/group, size, day, time
  size_t at = 0;
  for (std::string& field : fields) {
    at = std::min(line.find_first_not_of(' ', at), line.size());
    const size_t end = std::min(line.find(' ', at), line.size());
    field = line.substr(at, end - at);
    at = end;
  }
  const auto number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const size_t slash = fields[1].find('/');
  if (fields[0].size() != 10 || slash == std::string::npos || !number(fields[1].substr(0, slash)) ||
      !number(fields[1].substr(slash + 1))) {
    return cannot_be_told(line);
  }
  if (std::string_view("d-l").find(fields[0][0]) == std::string_view::npos) {
    return make_error(Errc::invalid_input, printable(line) + ": neither file, directory nor symbolic link");
  }
  if (!number(fields[2]) || at == line.size() || line.compare(at + 1, kRoot.size(), kRoot) != 0) {
    return cannot_be_told(line);
  }
  const size_t name = at + 1 + kRoot.size();
  if (name < line.size() && line[name] != '/') return cannot_be_told(line);
  return ListedLine{fields[0], fields[2], name < line.size() ? line.substr(name + 1) : ""};
}

Result<void> take_listed(const std::string& line, TreeEntries& entries) {
  constexpr std::string_view kArrow = " -> ";
  TRY(const ListedLine listed, split_listed(line));
  if (listed.name.empty()) return {};  // the root itself
  const std::string& mode = listed.mode;
  std::string path = listed.name;
  TreeEntry entry;
  const size_t arrow = path.find(kArrow);
  if (mode[0] == 'l') {
    if (arrow == std::string::npos) return cannot_be_told(line);
    entry.type = TreeEntry::Type::link;
    entry.text = path.substr(arrow + kArrow.size());
    path.resize(arrow);
    // Wrong if there is a second arrow, whichever of them is meant, or a line break.
    if (std::to_string(entry.text.size()) != listed.size) return cannot_be_told(line);
  } else if (arrow != std::string::npos) {
    return cannot_be_told(line);
  } else if (mode[0] == '-') {
    entry.type = TreeEntry::Type::file;
    entry.mode = (mode[3] == 'x' || mode[3] == 's' ? S_IXUSR : 0U) | (mode[3] == 's' || mode[3] == 'S' ? S_ISUID : 0U) |
                 (mode[6] == 's' || mode[6] == 'S' ? S_ISGID : 0U);
  }
  if (!entries.emplace(std::move(path), std::move(entry)).second) return cannot_be_told(line);
  return {};
}

Result<void> read_squashfs(FinishedFileSystem& found, int cancel_fd) {
  const int file = found.fd.get();
  TRY(const std::string list,
      output_of({"unsquashfs", "-no-progress", "-lln", kStandardInput}, file, kMaxList, cancel_fd));
  std::vector<std::string> lines = split(list, '\n');
  if (lines.back().empty()) lines.pop_back();  // the last one ends too
  for (const std::string& line : lines) TRY_VOID(take_listed(line, found.entries));
  if (!found.entries.contains(std::string(kManifestPath))) return {};
  TRY(found.manifest_text, output_of({"unsquashfs", "-no-progress", "-cat", kStandardInput, std::string(kManifestPath)},
                                     file, kMaxManifestSize, cancel_fd));
  return {};
}

// erofs-utils 1.5 shows no single file: all of it is unpacked, to a place that goes away.
Result<void> read_erofs(FinishedFileSystem& found, int cancel_fd) {
  std::error_code error;
  const std::string temporary = (fs::temp_directory_path(error) / "driverext-erofs").string();
  TRY(const ScratchFolder scratch, ScratchFolder::beside(temporary));
  const std::string tree = scratch.path() + "/tree";
  TRY(const std::string words,
      output_of({"fsck.erofs", "--extract=" + tree, "--no-preserve-owner", "--preserve-perms", kStandardInput},
                found.fd.get(), kMaxList, cancel_fd));
  (void)words;
  TRY(found.entries, list_tree({tree, ""}));
  TRY(const Dir root, Dir::open_root(tree));
  TRY(std::optional<std::string> text, root.read_if_there(kManifestPath, kMaxManifestSize));
  found.manifest_text = std::move(text).value_or("");
  return {};
}

Result<FinishedFileSystem> recognize(const std::string& file) {
  FinishedFileSystem found;
  found.fd = UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!found.fd) return os_failure(errno, "cannot open " + file);
  struct stat info {};
  if (::fstat(found.fd.get(), &info) != 0) return os_failure(errno, "cannot look at " + file);
  found.size = static_cast<uint64_t>(std::max<off_t>(info.st_size, 0));
  std::array<std::byte, kErofsSuperblock + 4> head{};
  if (S_ISREG(info.st_mode) && found.size >= head.size()) TRY_VOID(read_exactly(found.fd.get(), head, 0, file));
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
  const WriteBack write_back(fd, offset);
  return feed(entries, options, packer(std::move(command), options));
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
  TRY_VOID((found.type == FileSystem::squashfs ? read_squashfs : read_erofs)(found, cancel_fd).with_context(file));
  if (!found.manifest_text.empty()) return found;
  return make_error(Errc::invalid_input, file + " holds no " + std::string(kManifestPath) + "; put one into its tree");
}

}  // namespace driverext
