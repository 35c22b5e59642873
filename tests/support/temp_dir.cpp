#include "temp_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "verdict.hpp"

namespace driverext::test {
namespace {

namespace fs = std::filesystem;

// In memory if there is such a place: what is tested syncs every file, and a disk takes its time over that.
fs::path temp_place() {
  const char* wanted = std::getenv("TMPDIR");
  return wanted == nullptr && ::access("/dev/shm", W_OK | X_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
}

std::string make_temp_dir() {
  std::string path = (temp_place() / "driverext-test-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  return path;
}

}  // namespace

TempDir::TempDir() : path_(make_temp_dir()), dir_(must(Dir::open_root(path_))) {}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view content, mode_t mode) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  if (::chmod(path.c_str(), mode) != 0) throw std::runtime_error("cannot write " + path);
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::vector<std::string> listing(const std::string& path) {
  std::vector<std::string> lines;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    struct stat info {};
    if (::lstat(entry.path().c_str(), &info) != 0) continue;
    std::ostringstream line;
    line << entry.path().string() << ' ' << std::oct << info.st_mode << std::dec << ' ' << info.st_ino;
    // A directory's own time changes with temporary files in it that are long gone.
    if (!S_ISDIR(info.st_mode))
      line << ' ' << info.st_size << ' ' << info.st_mtim.tv_sec << '.' << info.st_mtim.tv_nsec;
    lines.push_back(line.str());
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string source_file(std::string_view name) {
  return read_whole(std::string(DRIVEREXT_SOURCE_ROOT "/") + std::string(name));
}

}  // namespace driverext::test
