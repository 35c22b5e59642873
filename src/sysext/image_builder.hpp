// Making extension images: files → squashfs → hash tree → signature → Discoverable Disk Image.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/signing_key.hpp"
#include "sysext/image_file.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

/// A file to put into the image.
struct ImageContent {
  std::string source;         ///< path on this machine; empty: `text` is the content
  std::string path_in_image;  ///< relative
  std::string text;
};

/// A directory whose content goes into the image. Symbolic links stay links; of modes only the owner's execute bit is
/// kept; anything but files, directories and links is refused.
struct ImageTree {
  std::string source;         ///< path on this machine
  std::string path_in_image;  ///< relative; empty: the image's root
};

struct BuildRequest {
  Manifest manifest;
  std::vector<ImageTree> trees;
  std::vector<ImageContent> files;  ///< without manifest and extension-release: those are added
  std::string output;
  const SigningKey* key = nullptr;  ///< none: the image is left unsigned
  int zstd_level = 15;
  /// Put before the mksquashfs command, to run it in a container where `output`'s folder has the same path; mostly
  /// empty.
  std::vector<std::string> run_in;
  /// Told of each stage as it begins ("packing", "hashing", ...).
  std::function<void(std::string_view stage)> progress = [](std::string_view) {};
};

struct BuiltImage {
  Digest root_hash{};
  uint64_t size = 0;
};

/// Writes the image aside and moves it to `output` when it is whole. The same request gives the
/// same bytes before signing: times come from the manifest's `created`, the salt from its digest.
Result<BuiltImage> build_image(const BuildRequest& request);

}  // namespace driverext
