#include "sysext/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr uint64_t kCopyWindow = uint64_t{1} << 20;

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& output) {
  OutputFile file;
  file.output_ = output;
  file.temporary_ = output + ".XXXXXX";
  file.fd_ = UniqueFd(::mkostemp(file.temporary_.data(), O_CLOEXEC));
  if (!file.fd_) {
    const int error = errno;
    file.temporary_.clear();
    return os_failure(error, "cannot create a file beside " + output);
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)), output_(std::move(other.output_)), temporary_(std::exchange(other.temporary_, {})) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> OutputFile::finish(uint64_t size) {
  if (::ftruncate(fd(), static_cast<off_t>(size)) != 0 || ::fchmod(fd(), 0644) != 0 || ::fsync(fd()) != 0) {
    return os_failure(errno, "cannot write " + output_);
  }
  if (::rename(temporary_.c_str(), output_.c_str()) != 0) return os_failure(errno, "cannot replace " + output_);
  temporary_.clear();
  const size_t slash = output_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : output_.substr(0, slash + 1);
  const UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return os_failure(errno, "cannot sync the folder of " + output_);
  return {};
}

Result<void> copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size,
                        std::string_view what) {
  Bytes buffer(std::min(size, kCopyWindow));
  for (uint64_t done = 0; done < size;) {
    const auto window = std::span(buffer).first(std::min(kCopyWindow, size - done));
    TRY_VOID(read_exactly(from, window, from_offset + done, what));
    TRY_VOID(write_exactly(to, window, to_offset + done, what));
    done += window.size();
  }
  return {};
}

}  // namespace driverext
