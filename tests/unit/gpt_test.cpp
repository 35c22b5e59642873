#include "sysext/gpt.hpp"

#include <gtest/gtest.h>

#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

constexpr uint64_t kFileSize = 4 << 20;
const Guid kType = guid_from_text("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
const Guid kDisk = guid_from_text("11111111-2222-3333-4444-555555555555");

Partition partition(uint64_t offset, uint64_t size, std::string name = "root") {
  return {kType,          guid_from_text("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"), offset, size, kPartitionReadOnly,
          std::move(name)};
}

const std::vector<Partition> kTwo = {partition(kGptFirstUsable, 8192),
                                     partition(kGptFirstUsable + 8192, 4096, "second")};

std::string parsed(const std::vector<Partition>& partitions, uint64_t file_size = kFileSize) {
  return verdict(parse_gpt(format_gpt(partitions, kDisk, file_size).head, file_size));
}

// Changes the primary header and makes its checksum right again.
Bytes with_header(size_t offset, uint64_t value, size_t size) {
  Bytes head = format_gpt(kTwo, kDisk, kFileSize).head;
  const auto header = std::span(head).subspan(kSectorSize, 92);
  for (size_t i = 0; i < size; ++i) header[offset + i] = static_cast<std::byte>(value >> (8 * i));
  store_le<uint32_t>(header, 16, 0);
  store_le<uint32_t>(header, 16, crc32(header));
  return head;
}

TEST(Gpt, WhatIsWrittenIsReadBack) {
  const auto read = must(parse_gpt(format_gpt(kTwo, kDisk, kFileSize).head, kFileSize));
  ASSERT_EQ(read.size(), 2U);
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].type, kTwo[i].type);
    EXPECT_EQ(read[i].uuid, kTwo[i].uuid);
    EXPECT_EQ(read[i].offset, kTwo[i].offset);
    EXPECT_EQ(read[i].size, kTwo[i].size);
    EXPECT_EQ(read[i].attributes, kTwo[i].attributes);
    EXPECT_EQ(read[i].name, kTwo[i].name);
  }
}

// The oracle is util-linux.
TEST(Gpt, SfdiskReadsBothTables) {
  const test::TempDir scratch;
  const GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  std::string file(kFileSize, '\0');
  file.replace(0, gpt.head.size(), as_text(gpt.head));
  file.replace(kFileSize - gpt.tail.size(), gpt.tail.size(), as_text(gpt.tail));
  test::write_file(scratch / "disk", file);
  const auto dump = run_program({"sfdisk", "--dump", scratch / "disk"});
  if (!dump && dump.error().code == Errc::not_found) GTEST_SKIP() << "there is no sfdisk on this machine";
  const std::string text = must(dump);
  EXPECT_NE(text.find("start=        2048, size=          16, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, "
                      "uuid=AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE, name=\"root\", attrs=\"GUID:60\""),
            std::string::npos)
      << text;
  EXPECT_NE(must(run_program({"sfdisk", "--verify", scratch / "disk"})).find("No errors detected"), std::string::npos);
  // With the first table gone the second is what it reads.
  test::write_file(scratch / "disk", file.replace(kSectorSize, 8, 8, 'x'));
  EXPECT_NE(must(run_program({"sfdisk", "--dump", scratch / "disk"})).find("name=\"second\""), std::string::npos);
}

TEST(Gpt, EveryFlippedBitOfHeaderAndEntriesIsRefused) {
  const Bytes good = format_gpt(kTwo, kDisk, kFileSize).head;
  const size_t entries = 2 * kSectorSize;
  for (size_t i = kSectorSize; i < entries + size_t{3} * 128; ++i) {
    if (i >= kSectorSize + 92 && i < entries) continue;  // no meaning, no checksum
    for (const unsigned bit : {0x01U, 0x80U}) {
      Bytes bad = good;
      bad[i] ^= static_cast<std::byte>(bit);
      EXPECT_EQ(verdict(parse_gpt(bad, kFileSize)), "untrusted/image-malformed") << i;
    }
  }
}

TEST(Gpt, EveryFlippedByteOfEmptyEntriesIsRefused) {
  Bytes head = format_gpt(kTwo, kDisk, kFileSize).head;
  for (size_t i = 2 * kSectorSize + 3 * 128; i < head.size(); i += 101) {
    head[i] ^= std::byte{1};
    EXPECT_EQ(verdict(parse_gpt(head, kFileSize)), "untrusted/image-malformed") << i;
    head[i] ^= std::byte{1};
  }
}

TEST(Gpt, HostileHeaderFieldsAreRefusedThoughTheChecksumIsRight) {
  EXPECT_EQ(verdict(parse_gpt(with_header(0, 0x5452415020494645, 8), kFileSize)),
            "fine");  // the control: nothing changed
  const struct {
    const char* defect;
    size_t offset;
    uint64_t value;
    size_t size;
  } cases[] = {
      {"revision", 8, 0x00020000, 4},
      {"header size 0", 12, 0, 4},
      {"header size 4 GiB", 12, UINT32_MAX, 4},
      {"own sector", 24, 2, 8},
      {"first usable 0", 40, 0, 8},
      {"first usable in the entries", 40, 33, 8},
      {"last usable before first", 48, 34, 8},
      {"last usable huge", 48, UINT64_MAX, 8},
      {"last usable in the backup", 48, kFileSize / 512 - 33, 8},
      {"entries elsewhere", 72, 3, 8},
      {"entries at 2^64", 72, UINT64_MAX, 8},
      {"entry count 2^32", 80, UINT32_MAX, 4},
      {"entry count 0", 80, 0, 4},
      {"entry size 0", 84, 0, 4},
      {"entry size 2^32", 84, UINT32_MAX, 4},
  };
  for (const auto& bad : cases) {
    EXPECT_EQ(verdict(parse_gpt(with_header(bad.offset, bad.value, bad.size), kFileSize)), "untrusted/image-malformed")
        << bad.defect;
  }
}

TEST(Gpt, PartitionsStayInsideTheFile) {
  const uint64_t end = kFileSize - kGptBackupSize;
  EXPECT_EQ(parsed({partition(kGptFirstUsable, end - kGptFirstUsable)}), "fine");
  EXPECT_EQ(parsed({partition(kGptFirstUsable, end - kGptFirstUsable + 512)}), "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(kGptFirstUsable - 512, 512)}), "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(0, 512)}), "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(kGptFirstUsable, 0)}), "untrusted/image-malformed");  // ends before it begins
  EXPECT_EQ(parsed({partition(kGptFirstUsable, UINT64_MAX - 511)}), "untrusted/image-malformed");  // the sum wraps
  EXPECT_EQ(parsed({partition(UINT64_MAX - 511, 1024)}), "untrusted/image-malformed");
}

TEST(Gpt, PartitionsDoNotOverlap) {
  EXPECT_EQ(parsed({partition(kGptFirstUsable, 8192), partition(kGptFirstUsable + 4096, 8192)}),
            "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(kGptFirstUsable + 8192, 512), partition(kGptFirstUsable, 8192 + 512)}),
            "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(kGptFirstUsable, 512), partition(kGptFirstUsable, 512)}), "untrusted/image-malformed");
  EXPECT_EQ(parsed({partition(kGptFirstUsable + 512, 512), partition(kGptFirstUsable, 512)}), "fine");
}

TEST(Gpt, AFileThatWasCutIsRefused) {
  const Bytes head = format_gpt(kTwo, kDisk, kFileSize).head;
  for (const uint64_t size : {kFileSize - 512, kFileSize / 2, uint64_t{kGptHeadSize}, uint64_t{0}}) {
    EXPECT_EQ(verdict(parse_gpt(head, size)), "untrusted/image-malformed") << size;
  }
  for (const size_t size : {size_t{0}, size_t{512}, size_t{1024}, kGptHeadSize - 1}) {
    EXPECT_EQ(verdict(parse_gpt(ByteSpan(head).first(size), kFileSize)), "untrusted/image-malformed") << size;
  }
}

TEST(Gpt, AllEntriesAreReadNotOnlyTheFirst) {
  std::vector<Partition> many;
  for (uint64_t i = 0; i < 128; ++i) many.push_back(partition(kGptFirstUsable + i * 512, 512));
  EXPECT_EQ(must(parse_gpt(format_gpt(many, kDisk, kFileSize).head, kFileSize)).size(), 128U);
}

TEST(Gpt, NamesAreMadeSafeForTerminals) {
  const std::string name =
      must(parse_gpt(format_gpt({partition(kGptFirstUsable, 512, "a\x1b[31m\n")}, kDisk, kFileSize).head, kFileSize))[0]
          .name;
  EXPECT_EQ(name, "a?[31m?");
}

}  // namespace
}  // namespace driverext
