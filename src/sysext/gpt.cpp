#include "sysext/gpt.hpp"

#include <algorithm>
#include <cstring>

namespace driverext {
namespace {

constexpr size_t kHeaderSize = 92;
constexpr size_t kEntrySize = 128;
constexpr size_t kEntryCount = 128;
constexpr size_t kEntriesOffset = 2 * kSectorSize;
constexpr std::string_view kSignature = "EFI PART";
constexpr uint32_t kRevision = 0x00010000;

Error malformed(std::string what) {
  return make_error(Errc::untrusted, Reason::image_malformed, "partition table: " + std::move(what));
}

Guid read_guid(ByteSpan bytes, size_t offset) {
  Guid guid{};
  std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), guid.size(), guid.begin());
  return guid;
}

Bytes format_header(ByteSpan entries, const Guid& disk, uint64_t own_sector, uint64_t other_sector,
                    uint64_t entries_sector, uint64_t last_usable) {
  Bytes header(kSectorSize);
  std::memcpy(header.data(), kSignature.data(), kSignature.size());
  store_le<uint32_t>(header, 8, kRevision);
  store_le<uint32_t>(header, 12, kHeaderSize);
  store_le<uint64_t>(header, 24, own_sector);
  store_le<uint64_t>(header, 32, other_sector);
  store_le<uint64_t>(header, 40, kGptFirstUsable / kSectorSize);
  store_le<uint64_t>(header, 48, last_usable);
  std::copy(disk.begin(), disk.end(), header.begin() + 56);
  store_le<uint64_t>(header, 72, entries_sector);
  store_le<uint32_t>(header, 80, kEntryCount);
  store_le<uint32_t>(header, 84, kEntrySize);
  store_le<uint32_t>(header, 88, crc32(entries));
  store_le<uint32_t>(header, 16, crc32(ByteSpan(header).first(kHeaderSize)));
  return header;
}

Result<void> check_overlap(std::vector<Partition> partitions) {
  std::sort(partitions.begin(), partitions.end(),
            [](const Partition& a, const Partition& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < partitions.size(); ++i) {
    if (partitions[i - 1].offset + partitions[i - 1].size > partitions[i].offset) {
      return malformed("two partitions overlap");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Partition>> parse_gpt(ByteSpan head, uint64_t file_size) {
  if (head.size() < kGptHeadSize || file_size < kGptHeadSize + kGptBackupSize) {
    return malformed("the file is too short to hold one");
  }
  const ByteSpan header = head.subspan(kSectorSize, kSectorSize);
  if (as_text(header.first(kSignature.size())) != kSignature) return malformed("there is none (no EFI PART)");
  if (load_le<uint32_t>(header, 8) != kRevision) return malformed("unknown revision");
  if (load_le<uint32_t>(header, 12) != kHeaderSize) return malformed("header size is not 92 bytes");
  Bytes zeroed(header.begin(), header.begin() + kHeaderSize);
  store_le<uint32_t>(zeroed, 16, 0);
  if (crc32(zeroed) != load_le<uint32_t>(header, 16)) return malformed("wrong header checksum");
  if (load_le<uint64_t>(header, 24) != 1) return malformed("the header is not where it says it is");
  // UEFI lets the entries lie elsewhere and be more or larger; no tool that makes images does that.
  if (load_le<uint64_t>(header, 72) != kEntriesOffset / kSectorSize || load_le<uint32_t>(header, 80) != kEntryCount ||
      load_le<uint32_t>(header, 84) != kEntrySize) {
    return malformed("entries are not 128 times 128 bytes behind the header");
  }
  const ByteSpan entries = head.subspan(kEntriesOffset, kEntryCount * kEntrySize);
  if (crc32(entries) != load_le<uint32_t>(header, 88)) return malformed("wrong checksum of the entries");

  const uint64_t sectors = file_size / kSectorSize;
  const uint64_t first_usable = load_le<uint64_t>(header, 40);
  const uint64_t last_usable = load_le<uint64_t>(header, 48);
  if (first_usable < kGptHeadSize / kSectorSize || last_usable < first_usable ||
      last_usable >= sectors - kGptBackupSize / kSectorSize) {
    return malformed("usable range lies outside the file; it may have been cut short");
  }

  std::vector<Partition> partitions;
  for (size_t i = 0; i < kEntryCount; ++i) {
    const ByteSpan entry = entries.subspan(i * kEntrySize, kEntrySize);
    const Guid type = read_guid(entry, 0);
    if (type == Guid{}) continue;
    const uint64_t first = load_le<uint64_t>(entry, 32);
    const uint64_t last = load_le<uint64_t>(entry, 40);
    if (first < first_usable || last > last_usable || last < first) {
      return malformed("partition " + std::to_string(i + 1) + " lies outside the usable range");
    }
    Partition partition;
    partition.type = type;
    partition.uuid = read_guid(entry, 16);
    partition.offset = first * kSectorSize;
    partition.size = (last - first + 1) * kSectorSize;
    partition.attributes = load_le<uint64_t>(entry, 48);
    for (size_t c = 0; c < 36; ++c) {
      const auto unit = load_le<uint16_t>(entry, 56 + 2 * c);
      if (unit == 0) break;
      partition.name += unit >= 0x20 && unit < 0x7f ? static_cast<char>(unit) : '?';
    }
    partitions.push_back(std::move(partition));
  }
  TRY_VOID(check_overlap(partitions));
  return partitions;
}

GptBytes format_gpt(const std::vector<Partition>& partitions, const Guid& disk, uint64_t file_size) {
  Bytes entries(kEntryCount * kEntrySize);
  for (size_t i = 0; i < partitions.size(); ++i) {
    const Partition& partition = partitions[i];
    const auto entry = std::span(entries).subspan(i * kEntrySize, kEntrySize);
    std::copy(partition.type.begin(), partition.type.end(), entry.begin());
    std::copy(partition.uuid.begin(), partition.uuid.end(), entry.begin() + 16);
    store_le<uint64_t>(entry, 32, partition.offset / kSectorSize);
    store_le<uint64_t>(entry, 40, (partition.offset + partition.size) / kSectorSize - 1);
    store_le<uint64_t>(entry, 48, partition.attributes);
    for (size_t c = 0; c < std::min<size_t>(partition.name.size(), 36); ++c) {
      store_le<uint16_t>(entry, 56 + 2 * c, static_cast<unsigned char>(partition.name[c]));
    }
  }

  const uint64_t sectors = file_size / kSectorSize;
  const uint64_t last_usable = sectors - kGptBackupSize / kSectorSize - 1;
  const uint64_t backup_entries = last_usable + 1;

  Bytes protective(kSectorSize);
  store_le<uint8_t>(protective, 446 + 4, 0xee);  // type: GPT protective
  store_le<uint32_t>(protective, 446 + 8, 1);
  store_le<uint32_t>(protective, 446 + 12, static_cast<uint32_t>(std::min<uint64_t>(sectors - 1, 0xffffffff)));
  // CHS fields of a protective MBR: 0x000200 to 0xffffff.
  store_le<uint8_t>(protective, 446 + 2, 0x02);
  store_le<uint16_t>(protective, 446 + 5, 0xffff);
  store_le<uint8_t>(protective, 446 + 7, 0xff);
  store_le<uint16_t>(protective, 510, 0xaa55);

  GptBytes bytes;
  bytes.head = std::move(protective);
  const Bytes primary = format_header(entries, disk, 1, sectors - 1, 2, last_usable);
  bytes.head.insert(bytes.head.end(), primary.begin(), primary.end());
  bytes.head.insert(bytes.head.end(), entries.begin(), entries.end());
  bytes.tail = std::move(entries);
  const Bytes backup = format_header(bytes.tail, disk, sectors - 1, 1, backup_entries, last_usable);
  bytes.tail.insert(bytes.tail.end(), backup.begin(), backup.end());
  return bytes;
}

}  // namespace driverext
