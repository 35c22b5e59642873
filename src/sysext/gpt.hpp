// GUID partition tables of image files (UEFI specification 2.10, chapter 5.3), 512-byte sectors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

constexpr uint64_t kSectorSize = 512;

struct Partition {
  Guid type{};
  Guid uuid{};
  uint64_t offset = 0;  ///< bytes from the start of the file
  uint64_t size = 0;    ///< bytes
  uint64_t attributes = 0;
  std::string name;  ///< ASCII, at most 36 characters
};

/// Attribute bit 60: mount read-only (Discoverable Partitions Specification).
constexpr uint64_t kPartitionReadOnly = uint64_t{1} << 60;

/// First byte that a partition may use, and the bytes behind the last one that the backup needs.
constexpr uint64_t kGptFirstUsable = uint64_t{1} << 20;
constexpr uint64_t kGptBackupSize = 33 * kSectorSize;

/// Bit 59: grow the file system when it is mounted; systemd-repart sets it and means nothing by it in an image.
constexpr uint64_t kPartitionGrow = uint64_t{1} << 59;

/// Bytes of MBR and first table.
constexpr size_t kGptHeadSize = 34 * kSectorSize;

/// Reads the tables of a file of `file_size` bytes. `head` holds the file's first kGptHeadSize bytes, `tail` its last
/// kGptBackupSize, or each the whole file if it is shorter. Both tables must be there, whole and the same; the second
/// ends with the file, so that nothing can be appended or cut off; every partition must lie inside the file, between
/// the tables, and overlap no other. Errors: Reason::image_malformed.
Result<std::vector<Partition>> parse_gpt(ByteSpan head, ByteSpan tail, uint64_t file_size);

/// The tables for a file of `file_size` bytes (a multiple of the sector size): the bytes for its
/// beginning (kGptHeadSize) and for its end (kGptBackupSize).
struct GptBytes {
  Bytes head;
  Bytes tail;
};
GptBytes format_gpt(const std::vector<Partition>& partitions, const Guid& disk, uint64_t file_size);

}  // namespace driverext
