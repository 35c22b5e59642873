// ImageFile: an open extension image whose container is well-formed. Nothing in it is trusted yet.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "sys/fd.hpp"
#include "sysext/architecture.hpp"
#include "sysext/gpt.hpp"
#include "sysext/signature_block.hpp"
#include "sysext/verity.hpp"

namespace driverext {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

class ImageFile {
 public:
  /// Reads partition tables, signature partition and dm-verity superblock from an open file.
  /// Accepted is exactly: root, root-verity and root-verity-sig of one architecture, whose sizes
  /// agree and whose UUIDs are the root hash's halves, with nothing but zeros between and behind them.
  /// Errors: Reason::image_malformed, Reason::unsigned_image.
  static Result<ImageFile> open(UniqueFd fd, std::string path);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] const Architecture& architecture() const { return *architecture_; }
  /// As they stand in the partition table.
  [[nodiscard]] const std::vector<Partition>& partitions() const { return partitions_; }
  [[nodiscard]] ByteRange data() const { return data_; }
  [[nodiscard]] ByteRange hash() const { return hash_; }
  [[nodiscard]] ByteRange signature() const { return signature_range_; }
  [[nodiscard]] const VeritySuperblock& verity() const { return verity_; }
  [[nodiscard]] const SignatureBlock& signature_block() const { return signature_; }

 private:
  ImageFile() = default;
  static Result<ImageFile> read(UniqueFd fd, std::string path);
  Result<void> read_signature();
  Result<void> read_superblock();

  UniqueFd fd_;
  std::string path_;
  uint64_t size_ = 0;
  const Architecture* architecture_ = nullptr;
  std::vector<Partition> partitions_;
  ByteRange data_;
  ByteRange hash_;
  ByteRange signature_range_;
  VeritySuperblock verity_;
  SignatureBlock signature_;
};

/// Refuses a file that somebody other than root (or the present user) could change after it was
/// checked: not regular, other owner, writable by group or others, on a network's or a program's
/// file system, or open for writing just now. Errors: Reason::unsafe_file.
Result<void> check_file_is_ours(int fd, const std::string& path);

}  // namespace driverext
