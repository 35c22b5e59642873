#include "sysext/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "sys/dir.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

constexpr uint64_t kCopyWindow = uint64_t{1} << 20;

Error interrupted(std::string_view what) {
  return make_error(Errc::transient, "writing " + std::string(what) + " was interrupted");
}

}  // namespace

Result<void> check_output(const std::string& output) {
  struct stat info {};
  if (::lstat(output.c_str(), &info) != 0) {
    return errno == ENOENT ? Result<void>() : os_failure(errno, "cannot look at " + output);
  }
  // Of a link: what it leads to, /dev/stdout's for one. One that leads nowhere is in nobody's use.
  if (S_ISLNK(info.st_mode) && ::stat(output.c_str(), &info) != 0) return {};
  if (S_ISREG(info.st_mode)) return {};
  return make_error(Errc::conflict, output + (S_ISDIR(info.st_mode) ? " is a directory" : " is not a regular file") +
                                        ", and is not replaced; name a file for the image");
}

Result<OutputFile> OutputFile::create(const std::string& output) {
  TRY_VOID(check_output(output));
  OutputFile file;
  file.output_ = output;
  std::string temporary = output + ".XXXXXX";
  file.fd_ = UniqueFd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.fd_) return os_failure(errno, "cannot create a file beside " + output);
  file.temporary_ = std::move(temporary);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)), output_(std::move(other.output_)), temporary_(std::exchange(other.temporary_, {})) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<uint64_t> OutputFile::size() const {
  struct stat info {};
  if (::fstat(fd(), &info) != 0) return os_failure(errno, "cannot look at " + temporary_);
  return static_cast<uint64_t>(info.st_size);
}

Result<void> OutputFile::resize(uint64_t size) {
  if (::ftruncate(fd(), static_cast<off_t>(size)) != 0) return os_failure(errno, "cannot write " + output_);
  return {};
}

Result<void> OutputFile::finish(uint64_t size, int cancel_fd) {
  TRY_VOID(resize(size));
  if (::fchmod(fd(), 0644) != 0 || ::fsync(fd()) != 0) return os_failure(errno, "cannot write " + output_);
  if (is_readable(cancel_fd)) return interrupted(output_);  // a disk takes its time
  if (::rename(temporary_.c_str(), output_.c_str()) != 0) return os_failure(errno, "cannot replace " + output_);
  temporary_.clear();
  const size_t slash = output_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : output_.substr(0, slash + 1);
  const UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return os_failure(errno, "cannot sync the folder of " + output_);
  return {};
}

void start_write_back(int fd, uint64_t offset, uint64_t size) {
  // Only a hint: some file systems know no such call, and fsync comes anyway.
  ::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

Result<void> copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size,
                        std::string_view what, int cancel_fd) {
  Bytes buffer(std::min(size, kCopyWindow));
  for (uint64_t done = 0; done < size;) {
    if (is_readable(cancel_fd)) return interrupted(what);
    const auto window = std::span(buffer).first(std::min(kCopyWindow, size - done));
    TRY_VOID(read_exactly(from, window, from_offset + done, what));
    TRY_VOID(write_exactly(to, window, to_offset + done, what));
    done += window.size();
  }
  return {};
}

}  // namespace driverext
