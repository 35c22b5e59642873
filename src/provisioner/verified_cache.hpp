// What was verified in this boot, so that a run with nothing to do, or one over a thousand images, need not check every
// signature again.
//
// It decides which images are looked at closer and what is told of them, never what is attached: an image that is
// to be attached is opened and verified as a whole once more. It lies in /run, belongs to root alone, and is worth
// nothing in another boot or under other trust anchors.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "sysext/image_identity.hpp"

namespace driverext {

constexpr std::string_view kVerifiedFile = "run/driverext/verified";
constexpr size_t kMaxVerifiedFile = size_t{16} << 20;
/// Manifests of images that were chosen, by root hash: what a probe compares a mounted one with.
constexpr std::string_view kManifestTexts = "run/driverext/manifests";

/// Which bytes a name stands for. Whoever writes to a file changes its ctime, whatever else they set back.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t mtime_nsec = 0;
  int64_t ctime_nsec = 0;
  bool operator==(const FileStamp&) const = default;
};
FileStamp stamp_of(const struct stat& status);

/// An image of the store.
struct VerifiedEntry {
  std::string folder;  ///< its name in the store
  FileStamp folder_stamp;
  std::string file;  ///< its name in the folder
  FileStamp file_stamp;
  std::string origin;
  int64_t verified_at = 0;                        ///< seconds since 1970
  std::shared_ptr<const ImageIdentity> identity;  ///< never null

  /// Still to be believed at that time: no certificate has run out, no clock was set back, and not for longer than a
  /// day, since revocation lists run out too.
  [[nodiscard]] bool holds_at(int64_t now) const;
};

class VerifiedCache {
 public:
  /// What an earlier run of this boot, under these very trust files, left; empty if there is none that can be believed.
  static VerifiedCache read(const Dir& root, const std::string& boot_id);

  /// Entries of a folder of the store.
  [[nodiscard]] std::span<const VerifiedEntry> in_folder(const std::string& folder) const;
  /// In place of all of a folder's entries; an empty list forgets them.
  void put(const std::string& folder, std::vector<VerifiedEntry> entries);
  [[nodiscard]] bool is_empty() const { return entries_.empty(); }
  /// What is put into it can be written: this boot and its trust files have a name.
  [[nodiscard]] bool is_kept() const { return !head_.empty(); }
  /// Forgets folders that are not among these.
  void keep_only(const std::vector<std::string>& folders);
  /// Writes it if it changed. A failure only costs time.
  void write(const Dir& root) const;

  static std::string format(const std::string& head, const std::vector<VerifiedEntry>& entries);
  /// Errors: Errc::invalid_input for anything that format() does not write.
  static Result<std::vector<VerifiedEntry>> parse(std::string_view text, std::string_view head);

 private:
  std::string head_;
  std::vector<VerifiedEntry> entries_;  // sorted by folder, then file
  bool changed_ = false;
};

}  // namespace driverext
