#include "cli/image_arguments.hpp"

#include <fcntl.h>

#include <cerrno>

#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

}  // namespace

Result<ImageFile> open_image(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + path);
  return ImageFile::open(std::move(fd), path);
}

Result<TrustStore> load_anchors(const std::vector<std::string>& paths) {
  TrustStore anchors;
  TRY(const Dir root, Dir::open_root("/"));
  if (paths.empty()) return TrustStore::load(root, kTrustFolders);
  for (const std::string& path : paths) {
    Result<Dir> folder = Dir::open_root(path);
    if (!folder) {
      TRY(const std::string pem, read_argument_file(path, kMaxPem));
      TRY_VOID(anchors.add_pem(pem, path));
      continue;
    }
    TRY(const std::vector<std::string> names, folder->list("."));
    for (const std::string& name : names) {
      if (!name.ends_with(".crt")) continue;
      TRY(const std::string pem, folder->read_file(name, kMaxPem));
      TRY_VOID(anchors.add_pem(pem, folder->path_of(name)));
    }
  }
  return anchors;
}

}  // namespace driverext::cli
