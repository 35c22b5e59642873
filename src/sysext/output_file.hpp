// OutputFile: a file beside the one that is wanted, that becomes it or nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

/// What a finished file takes the place of is a file, or a link to one or to nothing, which itself is replaced. A
/// device, a folder or a pipe never is, nor a link to one. Errors: Errc::conflict. For who works long before the file
/// is made.
Result<void> check_output(const std::string& output);

class OutputFile {
 public:
  /// Errors: those of check_output().
  static Result<OutputFile> create(const std::string& output);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Its name until it is finished, for a program that writes a part of it.
  [[nodiscard]] const std::string& temporary_path() const { return temporary_; }
  [[nodiscard]] Result<uint64_t> size() const;
  /// What lies behind `size` is cut off, or filled up with zeros.
  Result<void> resize(uint64_t size);
  /// All of it is on the disk, then it has its name. `cancel_fd` readable: it gets none, Errc::transient; -1: there is
  /// none.
  Result<void> finish(uint64_t size, int cancel_fd = -1);

 private:
  OutputFile() = default;
  UniqueFd fd_;
  std::string output_;
  std::string temporary_;
};

/// The disk begins to write that part now, so that fsync has little left to wait for. Does not wait for it itself.
void start_write_back(int fd, uint64_t offset, uint64_t size);

/// Copies bytes between two files, with 1 MiB of memory. `what` is the file that errors name. `cancel_fd` readable: the
/// copying stops with Errc::transient; -1: there is none.
Result<void> copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size,
                        std::string_view what, int cancel_fd = -1);

}  // namespace driverext
