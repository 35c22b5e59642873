// Making extension images: files → squashfs → hash tree → signature → Discoverable Disk Image.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/signing_key.hpp"
#include "sysext/file_system.hpp"
#include "sysext/image_file.hpp"
#include "sysext/image_tree.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

/// How far a build is.
struct BuildProgress {
  std::string_view stage;  ///< "packing (squashfs, zstd)", "hashing (dm-verity)", ...
  uint64_t done = 0;       ///< bytes
  uint64_t total = 0;      ///< bytes; 0: as the stage begins, and where it is not known
};

struct BuildRequest {
  Manifest manifest;
  std::vector<ImageTree> trees;
  std::vector<ImageContent> files;  ///< without manifest and extension-release: those are added
  /// A finished squashfs or erofs in place of trees and files. It holds `manifest` as manifest.json: see
  /// read_file_system for what a caller can learn from it.
  std::string file_system;
  std::string output;
  const SigningKey* key = nullptr;  ///< none: the image is left unsigned
  FileSystem type = FileSystem::squashfs;
  int zstd_level = 15;
  /// Put before the packer's command, to run it in a container where `output`'s folder has the same path; mostly
  /// empty. The tree comes on standard input (squashfs) or lies in that folder (erofs).
  std::vector<std::string> run_in;
  int cancel_fd = -1;  ///< readable: the build stops with Errc::transient and leaves nothing; -1: there is none
  /// Never called from two threads at once, but not always from the caller's.
  std::function<void(const BuildProgress&)> progress = [](const BuildProgress&) {};
};

struct BuiltImage {
  Digest root_hash{};
  uint64_t size = 0;
};

/// Writes the image aside and moves it to `output` when it is whole. The same request gives the
/// same bytes before signing: times come from the manifest's `created`, the salt from its digest.
Result<BuiltImage> build_image(const BuildRequest& request);

}  // namespace driverext
