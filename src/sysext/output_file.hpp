// A large file that is written beside the place it is meant for, and becomes it when it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

class OutputFile {
 public:
  /// Makes an empty file in the folder of `output`, which is an ordinary path given by a person.
  static Result<OutputFile> create(const std::string& output);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  /// Removes the file, unless finish() moved it.
  ~OutputFile();

  /// Open for reading and writing.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Sets size and mode (0644), waits until all of it is on the disk, and puts it in the place of `output`.
  Result<void> finish(uint64_t size);

 private:
  OutputFile() = default;
  UniqueFd fd_;
  std::string output_;
  std::string temporary_;
};

/// Copies bytes between two files, with 1 MiB of memory. `what` is the file that errors name.
Result<void> copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size,
                        std::string_view what);

}  // namespace driverext
