#include "cli/image_arguments.hpp"

#include <fcntl.h>

#include <cerrno>

#include "cli/verb.hpp"
#include "crypto/trusted_clock.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxTrustFile = size_t{16} << 20;

bool is_trust_file(const std::string& name) {
  return name.ends_with(".crt") || name.ends_with(".crl") || name == kTrustPolicyFile;
}

// As its name says; a file that is named by itself is a certificate under any other name.
Result<void> add_trust_file(TrustStore& anchors, const std::string& path) {
  TRY(const std::string content, read_argument_file(path, kMaxTrustFile));
  if (path.ends_with(".crl")) return anchors.add_crl(as_bytes(content), path);
  if (!path.ends_with(".toml")) return anchors.add_pem(content, path);
  TRY(TrustPolicy policy, parse_trust_policy(content, path));
  anchors.add_policy(std::move(policy));
  return {};
}

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
  anchors.set_earliest(earliest_time(root));
  for (const std::string& path : paths) {
    Result<Dir> folder = Dir::open_root(path);
    if (!folder) {
      TRY_VOID(add_trust_file(anchors, path));
      continue;
    }
    TRY(const std::vector<std::string> names, folder->list("."));
    for (const std::string& name : names) {
      if (!is_trust_file(name)) continue;
      TRY_VOID(add_trust_file(anchors, folder->path_of(name)));
    }
  }
  return anchors;
}

}  // namespace driverext::cli
