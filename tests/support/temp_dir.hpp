// A directory that goes away with its owner, and a few ways to look at files in it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "sys/dir.hpp"

namespace driverext::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  [[nodiscard]] const Dir& dir() const { return dir_; }

 private:
  std::string path_;
  Dir dir_;
};

/// Writes a file by its ordinary path, parents included.
void write_file(const std::string& path, std::string_view content, mode_t mode = 0644);
std::string read_whole(const std::string& path);
bool exists(const std::string& path);
/// Everything below a directory, sorted: "path type mode size inode mtime" of each.
/// Two equal listings mean that nothing was written in between.
std::vector<std::string> listing(const std::string& path);

/// A file of the source tree.
std::string source_file(std::string_view name);

}  // namespace driverext::test
