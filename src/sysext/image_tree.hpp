// What an image is made of: every directory, file and link of it, by its path, with owners and times left out and modes
// reduced to what counts. Where it comes from, nothing is copied.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
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

struct TreeEntry {
  enum class Type { directory, file, link };
  Type type = Type::directory;
  std::string source = {};  ///< file: path on this machine; empty: `text` is the content
  std::string text = {};    ///< file without source: the content; link: what it says
  uint64_t size = 0;        ///< of a file
  uint32_t mode = 0;        ///< of a file: all its bits where it comes from

  /// 0755 or 0644; whatever the builder's umask and the sources' modes are, the image is the same.
  [[nodiscard]] uint32_t mode_in_image() const;
};

/// By path in the image, without a slash at either end; parents come before what is in them. The root is not listed.
using TreeEntries = std::map<std::string, TreeEntry>;

/// Everything below a directory. Errors: Errc::invalid_input for what is neither file, directory nor link.
Result<TreeEntries> list_tree(const ImageTree& tree);

/// Trees and files put together, with manifest and extension-release. Two that want the same place are an error.
Result<TreeEntries> collect_tree(const std::vector<ImageTree>& trees, const std::vector<ImageContent>& files,
                                 const Manifest& manifest, const std::string& manifest_text);

/// An extension is merged over the host's /usr. What would change the host in ways that no driver has to, or hide what
/// is the host's, is refused by its path. Errors: Errc::invalid_input.
Result<void> check_extension_tree(const TreeEntries& entries);

}  // namespace driverext
