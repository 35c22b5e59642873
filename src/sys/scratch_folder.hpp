// ScratchFolder: a directory for what something is made of, that goes away with all that is in it.
#pragma once

#include <string>
#include <utility>

#include "base/result.hpp"

namespace driverext {

class ScratchFolder {
 public:
  /// Beside a file that is to be written, so on a file system that has room for it.
  static Result<ScratchFolder> beside(const std::string& file);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace driverext
