// Partition tables, and what lies outside every partition.
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

constexpr size_t kHeaderSize = 92;

Refusal malformed(const std::string& name, std::function<std::string()> bytes, const std::string& says) {
  return {"should-fail-" + name, Stage::container, "image-malformed", std::move(bytes), says};
}

void put(std::span<std::byte> bytes, size_t offset, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes[offset + i] = static_cast<std::byte>(value >> (8 * i));
}

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

void sign_header(std::span<std::byte> header) {
  store_le<uint32_t>(header, 16, 0);
  store_le<uint32_t>(header, 16, crc32(header));
}

// A field of both headers changed, checksums right.
Refusal header_field(const std::string& name, size_t offset, uint64_t value, size_t size, const std::string& says) {
  const auto make = [=] {
    std::string image = sample_bytes();
    const auto all = bytes_of(image);
    for (const size_t at : {kSectorSize, image.size() - kSectorSize}) {
      const auto header = all.subspan(at, kHeaderSize);
      put(header, offset, value, size);
      sign_header(header);
    }
    return image;
  };
  return malformed("gpt-" + name, make, says);
}

// Only in the backup.
Refusal backup_field(const std::string& name, size_t offset, uint64_t value, size_t size, const std::string& says) {
  const auto make = [=] {
    std::string image = sample_bytes();
    const auto header = bytes_of(image).last(kSectorSize).first(kHeaderSize);
    put(header, offset, value, size);
    sign_header(header);
    return image;
  };
  return malformed("backup-gpt-" + name, make, says);
}

// These bits of one byte changed, and no checksum made right.
Refusal byte(const std::string& name, uint64_t offset, unsigned bits, const std::string& says) {
  const auto make = [=] {
    std::string image = sample_bytes();
    image.at(offset) = static_cast<char>(static_cast<unsigned char>(image.at(offset)) ^ bits);
    return image;
  };
  return malformed(name, make, says);
}

}  // namespace

std::vector<Refusal> container_refusals() {
  const std::string& good = sample_bytes();
  const uint64_t sectors = good.size() / kSectorSize;
  const std::vector<Partition> partitions = partitions_of(good);
  const uint64_t end = partitions.back().offset + partitions.back().size;

  std::vector<Refusal> rows = {
      malformed(
          "empty-file", [] { return std::string(); }, "too short"),
      malformed(
          "file-of-zeros", [] { return std::string(sample_bytes().size(), '\0'); }, "partition table"),
      malformed(
          "bare-file-system",
          [] {
            const Partition root = partitions_of(sample_bytes())[0];
            return sample_bytes().substr(root.offset, root.size);
          },
          "partition table"),
      byte("mbr-without-its-end", 510, 0xff, "MBR"),
      byte("mbr-that-protects-nothing", 446 + 4, 0x6d, "MBR"),
      byte("mbr-from-another-sector", 446 + 8, 9, "MBR"),
      byte("mbr-with-boot-code", 100, 0xeb, "MBR"),
      byte("mbr-with-a-disk-signature", 440, 1, "MBR"),
      byte("mbr-that-boots", 446, 0x80, "MBR"),
      byte("mbr-that-begins-elsewhere", 446 + 2, 1, "MBR"),
      byte("mbr-that-ends-elsewhere", 446 + 7, 1, "MBR"),
      byte("mbr-of-another-size", 446 + 12, 1, "MBR"),
      byte("hybrid-mbr", 446 + 16 + 4, 0x83, "MBR"),
      // blkid, mount and systemd would take it for that file system.
      malformed(
          "mbr-with-a-squashfs-superblock",
          [] {
            std::string image = sample_bytes();
            return image.replace(0, 96, image.substr(partitions_of(image)[0].offset, 96));
          },
          "MBR"),
      header_field("without-magic", 0, 'X', 1, "EFI PART"),
      header_field("of-another-revision", 8, 0x00020000, 4, "revision"),
      header_field("header-too-long", 12, 96, 4, "header size"),
      header_field("header-size-huge", 12, UINT32_MAX, 4, "header size"),
      byte("gpt-header-checksum-wrong", kSectorSize + 16, 0x5a, "checksum"),
      header_field("reserved-field-in-use", 20, 1, 4, "reserved"),
      byte("gpt-data-behind-header", kSectorSize + kHeaderSize, 1, "reserved"),
      header_field("says-it-is-elsewhere", 24, 7, 8, "not where it says"),
      header_field("backup-said-elsewhere", 32, sectors - 2, 8, "other end of the file"),
      header_field("backup-said-behind-the-file", 32, sectors, 8, "other end of the file"),
      header_field("first-usable-in-the-table", 40, 33, 8, "usable range"),
      header_field("first-usable-behind-last", 40, sectors - 33, 8, "usable range"),
      header_field("last-usable-in-the-backup", 48, sectors - 33, 8, "usable range"),
      header_field("last-usable-huge", 48, UINT64_MAX, 8, "usable range"),
      header_field("entries-elsewhere", 72, 3, 8, "entries"),
      header_field("entries-at-2-to-64", 72, UINT64_MAX, 8, "entries"),
      header_field("no-entries", 80, 0, 4, "entries"),
      header_field("too-many-entries", 80, UINT32_MAX, 4, "entries"),
      header_field("entries-of-no-size", 84, 0, 4, "entries"),
      header_field("entries-of-256-bytes", 84, 256, 4, "entries"),
      header_field("entries-checksum-wrong", 88, 0, 4, "checksum of the entries"),
      byte("gpt-entry-changed", 2 * kSectorSize + 32, 0x7f, "checksum of the entries"),
      byte("backup-gpt-header-checksum-wrong", good.size() - kSectorSize + 16, 0x5a, "backup"),
      byte("backup-gpt-entry-changed", good.size() - kGptBackupSize + 32, 0x7f, "backup"),
      backup_field("of-another-disk", 56, 1, 8, "not the same"),
      backup_field("with-another-usable-range", 40, 4096, 8, "not the same"),
      backup_field("that-points-at-itself", 32, sectors - 1, 8, "backup"),
      malformed(
          "backup-gpt-wiped",
          [] {
            std::string image = sample_bytes();
            return image.replace(image.size() - kGptBackupSize, kGptBackupSize, kGptBackupSize, '\0');
          },
          "backup"),
      malformed(
          "backup-gpt-of-another-image",
          [] {
            std::vector<Partition> other = partitions_of(sample_bytes());
            other[0].type = guid_from_text("0fc63daf-8483-4772-8e79-3d69d8477de4");
            std::string image = sample_bytes();
            const std::string theirs = with_partitions(image, other);
            return image.replace(image.size() - kGptBackupSize, kGptBackupSize,
                                 theirs.substr(theirs.size() - kGptBackupSize));
          },
          "not the same"),
      byte("data-before-the-first-partition", 100'000, 1, "before a partition"),
      byte("data-behind-the-last-partition", end, 1, "behind the last partition"),
      malformed(
          "one-byte-appended", [] { return sample_bytes() + "x"; }, "whole sector"),
      malformed(
          "sector-appended", [] { return sample_bytes() + std::string(512, 'x'); }, "appended"),
      malformed(
          "zeros-appended", [] { return sample_bytes() + std::string(1 << 20, '\0'); }, "appended"),
      malformed(
          "second-image-appended", [] { return sample_bytes() + sample_bytes(); }, "appended"),
  };

  constexpr size_t kCuts = 32;
  for (size_t i = 0; i < kCuts; ++i) {
    // Every second one at the end of a block, where nothing but the tables' own words tell; the last but for one byte.
    size_t size = (good.size() - 1) * (i + 1) / kCuts;
    const bool whole = i % 2 == 0;
    if (whole) size -= size % 4096;
    if (!whole && size % kSectorSize == 0) --size;
    const char* said = whole ? "the file was cut short" : "does not end with a whole sector";
    if (size < kGptHeadSize + kGptBackupSize) said = "too short to hold one";
    rows.push_back(malformed(
        "cut-" + std::to_string(i + 1) + "-of-32", [size] { return sample_bytes().substr(0, size); }, said));
  }
  return rows;
}

}  // namespace driverext::test
