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

auto parse(const GptBytes& gpt, uint64_t file_size = kFileSize) { return parse_gpt(gpt.head, gpt.tail, file_size); }

std::string parsed(const std::vector<Partition>& partitions, uint64_t file_size = kFileSize) {
  return verdict(parse(format_gpt(partitions, kDisk, file_size), file_size));
}

void change(std::span<std::byte> header, size_t offset, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) header[offset + i] = static_cast<std::byte>(value >> (8 * i));
  store_le<uint32_t>(header, 16, 0);
  store_le<uint32_t>(header, 16, crc32(header));
}

// Changes one of the headers and makes its checksum right again.
GptBytes with_header(size_t offset, uint64_t value, size_t size) {
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  change(std::span(gpt.head).subspan(kSectorSize, 92), offset, value, size);
  return gpt;
}
GptBytes with_backup_header(size_t offset, uint64_t value, size_t size) {
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  change(std::span(gpt.tail).last(kSectorSize).first(92), offset, value, size);
  return gpt;
}
// In both: they agree with each other.
GptBytes with_both_headers(size_t offset, uint64_t value, size_t size) {
  GptBytes gpt = with_header(offset, value, size);
  gpt.tail = with_backup_header(offset, value, size).tail;
  return gpt;
}

TEST(Gpt, WhatIsWrittenIsReadBack) {
  const auto read = must(parse(format_gpt(kTwo, kDisk, kFileSize)));
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
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  const size_t entries = 2 * kSectorSize;
  for (size_t i = kSectorSize; i < entries + size_t{3} * 128; ++i) {
    for (const auto bit : {std::byte{0x01}, std::byte{0x80}}) {
      gpt.head[i] ^= bit;
      EXPECT_EQ(verdict(parse(gpt)), "untrusted/image-malformed") << i;
      gpt.head[i] ^= bit;
    }
  }
}

TEST(Gpt, EveryFlippedBitOfTheBackupIsRefused) {
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  for (size_t i = 0; i < gpt.tail.size(); i += i < 384 || i >= kGptBackupSize - kSectorSize ? 1 : 101) {
    gpt.tail[i] ^= std::byte{0x01};
    EXPECT_EQ(verdict(parse(gpt)), "untrusted/image-malformed") << i;
    gpt.tail[i] ^= std::byte{0x01};
  }
}

TEST(Gpt, EveryFlippedByteOfEmptyEntriesIsRefused) {
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  for (size_t i = 2 * kSectorSize + 3 * 128; i < gpt.head.size(); i += 101) {
    gpt.head[i] ^= std::byte{1};
    EXPECT_EQ(verdict(parse(gpt)), "untrusted/image-malformed") << i;
    gpt.head[i] ^= std::byte{1};
  }
}

TEST(Gpt, TheMbrBeforeItProtectsAndShowsNothingElse) {
  GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  for (size_t offset = 0; offset < kSectorSize; ++offset) {
    gpt.head[offset] ^= std::byte{1};
    EXPECT_EQ(verdict(parse(gpt)), "untrusted/image-malformed") << offset;
    gpt.head[offset] ^= std::byte{1};
  }
  store_le<uint32_t>(gpt.head, 446 + 12, UINT32_MAX);
  EXPECT_EQ(verdict(parse(gpt)), "fine") << "size of the disk not told";
}

TEST(Gpt, TwoTablesThatDifferAreRefusedThoughEachIsWhole) {
  const GptBytes one = format_gpt(kTwo, kDisk, kFileSize);
  const GptBytes renamed =
      format_gpt({partition(kGptFirstUsable, 8192), partition(kGptFirstUsable + 8192, 4096)}, kDisk, kFileSize);
  const GptBytes other_disk = format_gpt(kTwo, kType, kFileSize);
  EXPECT_EQ(verdict(parse({one.head, one.tail})), "fine");
  EXPECT_EQ(verdict(parse({one.head, renamed.tail})), "untrusted/image-malformed");
  EXPECT_EQ(verdict(parse({one.head, other_disk.tail})), "untrusted/image-malformed");
  EXPECT_EQ(verdict(parse(with_backup_header(40, 4096, 8))), "untrusted/image-malformed");
  EXPECT_EQ(verdict(parse(with_backup_header(48, kFileSize / 512 - 40, 8))), "untrusted/image-malformed");
}

TEST(Gpt, UnusedEntryThatHidesSomethingIsRefused) {
  std::vector<Partition> list = kTwo;
  list[1].type = Guid{};
  EXPECT_EQ(parsed(list), "untrusted/image-malformed");
}

TEST(Gpt, HostileHeaderFieldsAreRefusedThoughTheChecksumIsRight) {
  EXPECT_EQ(verdict(parse(with_both_headers(0, 0x5452415020494645, 8))), "fine");  // the control: nothing changed
  const struct {
    const char* defect;
    size_t offset;
    uint64_t value;
    size_t size;
  } cases[] = {
      {"revision", 8, 0x00020000, 4},
      {"header size 0", 12, 0, 4},
      {"header size 4 GiB", 12, UINT32_MAX, 4},
      {"reserved", 20, 1, 4},
      {"own sector", 24, 2, 8},
      {"backup elsewhere", 32, kFileSize / 512 - 2, 8},
      {"backup behind the file", 32, kFileSize / 512, 8},
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
    EXPECT_EQ(verdict(parse(with_header(bad.offset, bad.value, bad.size))), "untrusted/image-malformed") << bad.defect;
    EXPECT_EQ(verdict(parse(with_both_headers(bad.offset, bad.value, bad.size))), "untrusted/image-malformed")
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

TEST(Gpt, AFileThatWasCutOrGrewIsRefused) {
  const GptBytes gpt = format_gpt(kTwo, kDisk, kFileSize);
  for (const uint64_t size : {kFileSize - 512, kFileSize / 2, uint64_t{kGptHeadSize}, uint64_t{0}, kFileSize + 1,
                              kFileSize + 512, kFileSize + 4096, kFileSize * 2}) {
    EXPECT_EQ(verdict(parse(gpt, size)), "untrusted/image-malformed") << size;
  }
  for (const size_t size : {size_t{0}, size_t{512}, size_t{1024}, kGptHeadSize - 1}) {
    EXPECT_EQ(verdict(parse_gpt(ByteSpan(gpt.head).first(size), gpt.tail, kFileSize)), "untrusted/image-malformed");
    EXPECT_EQ(verdict(parse_gpt(gpt.head, ByteSpan(gpt.tail).first(std::min(size, gpt.tail.size() - 1)), kFileSize)),
              "untrusted/image-malformed");
  }
}

TEST(Gpt, AllEntriesAreReadNotOnlyTheFirst) {
  std::vector<Partition> many;
  for (uint64_t i = 0; i < 128; ++i) many.push_back(partition(kGptFirstUsable + i * 512, 512));
  EXPECT_EQ(must(parse(format_gpt(many, kDisk, kFileSize))).size(), 128U);
}

TEST(Gpt, NamesAreMadeSafeForTerminals) {
  const std::string name =
      must(parse(format_gpt({partition(kGptFirstUsable, 512, "a\x1b[31m\n")}, kDisk, kFileSize)))[0].name;
  EXPECT_EQ(name, "a?[31m?");
}

}  // namespace
}  // namespace driverext
