#include "sys/scratch_folder.hpp"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace driverext {

Result<ScratchFolder> ScratchFolder::beside(const std::string& file) {
  std::string path = file + ".tmp-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return os_failure(errno, "cannot make a directory beside " + file);
  return ScratchFolder(std::move(path));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace driverext
