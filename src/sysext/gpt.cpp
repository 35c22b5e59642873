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
constexpr uint8_t kProtectiveType = 0xee;
constexpr size_t kMbrSize = 446 + 12;  // of the first partition in the MBR

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

// Every field of one of the two headers that has only one right value in a file of this size.
Result<void> check_header(ByteSpan sector, const char* which, uint64_t own_sector, uint64_t other_sector,
                          uint64_t entries_sector) {
  const auto refuse = [&](const std::string& what) { return malformed(std::string(which) + ": " + what); };
  if (as_text(sector.first(kSignature.size())) != kSignature) return refuse("there is none (no EFI PART)");
  if (load_le<uint32_t>(sector, 8) != kRevision) return refuse("unknown revision");
  if (load_le<uint32_t>(sector, 12) != kHeaderSize) return refuse("header size is not 92 bytes");
  Bytes zeroed(sector.begin(), sector.begin() + kHeaderSize);
  store_le<uint32_t>(zeroed, 16, 0);
  if (crc32(zeroed) != load_le<uint32_t>(sector, 16)) return refuse("wrong header checksum");
  if (load_le<uint32_t>(sector, 20) != 0 || !is_all_zero(sector.subspan(kHeaderSize))) {
    return refuse("reserved bytes are in use");
  }
  if (load_le<uint64_t>(sector, 24) != own_sector) return refuse("the header is not where it says it is");
  if (load_le<uint64_t>(sector, 32) != other_sector) {
    return refuse("its twin is not at the other end of the file: the file was cut short, or something was appended");
  }
  // UEFI lets the entries lie elsewhere and be more or larger; no tool that makes images does that.
  if (load_le<uint64_t>(sector, 72) != entries_sector || load_le<uint32_t>(sector, 80) != kEntryCount ||
      load_le<uint32_t>(sector, 84) != kEntrySize) {
    return refuse("entries are not 128 times 128 bytes beside the header");
  }
  return {};
}

Bytes format_protective_mbr(uint64_t sectors) {
  constexpr size_t kEntry = 446;
  Bytes mbr(kSectorSize);
  // CHS fields of a protective MBR: 0x000200 to 0xffffff.
  store_le<uint8_t>(mbr, kEntry + 2, 0x02);
  store_le<uint8_t>(mbr, kEntry + 4, kProtectiveType);
  store_le<uint16_t>(mbr, kEntry + 5, 0xffff);
  store_le<uint8_t>(mbr, kEntry + 7, 0xff);
  store_le<uint32_t>(mbr, kEntry + 8, 1);
  store_le<uint32_t>(mbr, kMbrSize, static_cast<uint32_t>(std::min<uint64_t>(sectors - 1, UINT32_MAX)));
  store_le<uint16_t>(mbr, 510, 0xaa55);
  return mbr;
}

// Nothing signs the MBR, and there are readers that look at it first: old tools for partitions, all others for the
// magic number of a file system, which would be another image to them. So each byte is what sfdisk and systemd-repart
// write: no boot code, no disk signature, one partition over all of it.
Result<void> check_protective_mbr(ByteSpan sector, uint64_t sectors) {
  Bytes wanted = format_protective_mbr(sectors);
  // Some tools write this one whatever the size is.
  if (load_le<uint32_t>(sector, kMbrSize) == UINT32_MAX) store_le<uint32_t>(wanted, kMbrSize, UINT32_MAX);
  if (as_text(sector) == as_text(wanted)) return {};
  return malformed("the MBR before it is not a protective one");
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

Result<std::vector<Partition>> parse_gpt(ByteSpan head, ByteSpan tail, uint64_t file_size) {
  if (head.size() < kGptHeadSize || tail.size() < kGptBackupSize || file_size < kGptHeadSize + kGptBackupSize) {
    return malformed("the file is too short to hold one");
  }
  if (file_size % kSectorSize != 0) return malformed("the file does not end with a whole sector");
  const uint64_t sectors = file_size / kSectorSize;
  const uint64_t backup_entries = sectors - kGptBackupSize / kSectorSize;
  const ByteSpan header = head.subspan(kSectorSize, kSectorSize);
  TRY_VOID(check_header(header, "first table", 1, sectors - 1, kEntriesOffset / kSectorSize));
  const ByteSpan entries = head.subspan(kEntriesOffset, kEntryCount * kEntrySize);
  if (crc32(entries) != load_le<uint32_t>(header, 88)) return malformed("wrong checksum of the entries");

  // Tools that find the first table damaged go by the second: it must not show them another image.
  const ByteSpan backup = tail.subspan(kEntryCount * kEntrySize, kSectorSize);
  TRY_VOID(check_header(backup, "backup table", sectors - 1, 1, backup_entries));
  const auto differs = [&](size_t offset, size_t size) {
    return as_text(header.subspan(offset, size)) != as_text(backup.subspan(offset, size));
  };
  if (differs(40, 32) || differs(88, 4) || as_text(entries) != as_text(tail.first(entries.size()))) {
    return malformed("the backup table is not the same as the first");
  }
  TRY_VOID(check_protective_mbr(head.first(kSectorSize), sectors));

  const uint64_t first_usable = load_le<uint64_t>(header, 40);
  const uint64_t last_usable = load_le<uint64_t>(header, 48);
  if (first_usable < kGptHeadSize / kSectorSize || last_usable < first_usable || last_usable >= backup_entries) {
    return malformed("usable range lies outside the file");
  }

  std::vector<Partition> partitions;
  for (size_t i = 0; i < kEntryCount; ++i) {
    const ByteSpan entry = entries.subspan(i * kEntrySize, kEntrySize);
    const Guid type = read_guid(entry, 0);
    if (type == Guid{}) {
      if (!is_all_zero(entry)) return malformed("unused entry " + std::to_string(i + 1) + " is not empty");
      continue;
    }
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

  GptBytes bytes;
  bytes.head = format_protective_mbr(sectors);
  const Bytes primary = format_header(entries, disk, 1, sectors - 1, 2, last_usable);
  bytes.head.insert(bytes.head.end(), primary.begin(), primary.end());
  bytes.head.insert(bytes.head.end(), entries.begin(), entries.end());
  bytes.tail = std::move(entries);
  const Bytes backup = format_header(bytes.tail, disk, sectors - 1, 1, backup_entries, last_usable);
  bytes.tail.insert(bytes.tail.end(), backup.begin(), backup.end());
  return bytes;
}

}  // namespace driverext
