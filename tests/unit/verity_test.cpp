#include "sysext/verity.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/text.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sys/dir.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

const std::string kUuid = "01234567-89ab-cdef-0123-456789abcdef";

std::string data_of(uint64_t blocks) {
  std::string data(blocks * kVerityBlock, '\0');
  for (uint64_t block = 0; block < blocks; ++block) {
    const std::string text = "block " + std::to_string(block);
    data.replace(block * kVerityBlock, text.size(), text);
  }
  return data;
}

VeritySuperblock superblock_of(uint64_t blocks, const std::string& salt_hex) {
  VeritySuperblock superblock;
  superblock.data_blocks = blocks;
  superblock.salt = *from_hex(salt_hex);
  // cryptsetup stores the UUID as its text reads, not in GPT order.
  std::string digits = kUuid;
  std::erase(digits, '-');
  const Bytes uuid = *from_hex(digits);
  std::copy(uuid.begin(), uuid.end(), superblock.uuid.begin());
  return superblock;
}

// A file with data, and the area that we make for it.
struct Made {
  explicit Made(uint64_t blocks, const std::string& salt = "00ff10") : superblock(superblock_of(blocks, salt)) {
    test::write_file(scratch / "data", data_of(blocks));
    fd = must(scratch.dir().open_file("data", O_RDWR));
    area = must(build_hash_area(fd.get(), 0, superblock));
  }
  test::TempDir scratch;
  VeritySuperblock superblock;
  UniqueFd fd;
  HashArea area;
};

class AgainstVeritysetup : public ::testing::TestWithParam<uint64_t> {};

// The oracle is cryptsetup: same root hash, same bytes.
TEST_P(AgainstVeritysetup, MakesTheSameRootHashAndTheSameBytes) {
  for (const std::string& salt :
       {std::string("aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"), std::string()}) {
    const Made made(GetParam(), salt);
    const auto format = run_program({"veritysetup", "format", made.scratch / "data", made.scratch / "hash",
                                     "--salt=" + (salt.empty() ? "-" : salt), "--uuid=" + kUuid, "--hash=sha256",
                                     "--data-block-size=4096", "--hash-block-size=4096"});
    if (!format && format.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup on this machine";
    const std::string text = must(format);
    const size_t at = text.find("Root hash:");
    ASSERT_NE(at, std::string::npos) << text;
    EXPECT_EQ(trim(text.substr(at + 10, text.find('\n', at) - at - 10)), to_hex(made.area.root_hash));
    const std::string theirs = test::read_whole(made.scratch / "hash");
    ASSERT_EQ(theirs.size(), made.area.bytes.size());
    EXPECT_TRUE(theirs == as_text(made.area.bytes));
    EXPECT_EQ(theirs.size(), hash_area_size(GetParam()));
    EXPECT_EQ(must(parse_verity_superblock(as_bytes(theirs))).data_blocks, GetParam());
  }
}

TEST_P(AgainstVeritysetup, IsAcceptedByIt) {
  const Made made(GetParam());
  test::write_file(made.scratch / "hash", as_text(made.area.bytes));
  const std::vector<std::string> command = {"veritysetup", "verify", made.scratch / "data", made.scratch / "hash",
                                            to_hex(made.area.root_hash)};
  const auto verified = run_program(command);
  if (!verified && verified.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup on this machine";
  EXPECT_EQ(test::message(verified), "fine");
}

// 128 digests fill a block; 129 need a second level, 16385 a third.
INSTANTIATE_TEST_SUITE_P(Blocks, AgainstVeritysetup, ::testing::Values(1, 2, 128, 129, 16385));

TEST(Verity, LevelsAreStoredTopFirst) {
  EXPECT_TRUE(tree_levels(1).empty());
  const auto levels = tree_levels(16385);
  ASSERT_EQ(levels.size(), 3U);
  EXPECT_EQ(levels[0].first_block, 0U);
  EXPECT_EQ(levels[0].blocks, 1U);
  EXPECT_EQ(levels[1].first_block, 1U);
  EXPECT_EQ(levels[1].blocks, 2U);
  EXPECT_EQ(levels[2].first_block, 3U);
  EXPECT_EQ(levels[2].blocks, 129U);
}

TEST(Verity, EveryDamagedTreeBlockIsFound) {
  const Made made(16385);
  const ByteSpan whole(made.area.bytes);
  ASSERT_EQ(verdict(check_hash_tree(whole, made.superblock, made.area.root_hash)), "fine");
  // First byte, last byte of the block: used digests and the zero padding behind them.
  for (size_t block = 1; block < whole.size() / kVerityBlock; block += block < 6 ? 1 : 17) {
    for (const size_t offset : {size_t{0}, size_t{kVerityBlock - 1}}) {
      Bytes bad = made.area.bytes;
      bad[block * kVerityBlock + offset] ^= std::byte{1};
      EXPECT_EQ(verdict(check_hash_tree(bad, made.superblock, made.area.root_hash)), "untrusted/hash-tree-corrupt")
          << block;
    }
  }
}

TEST(Verity, AnotherRootHashSaltOrSizeIsFound) {
  const Made made(300);
  Digest other = made.area.root_hash;
  other[31] ^= std::byte{1};
  EXPECT_EQ(verdict(check_hash_tree(made.area.bytes, made.superblock, other)), "untrusted/hash-tree-corrupt");
  EXPECT_EQ(verdict(check_hash_tree(made.area.bytes, superblock_of(300, "00ff11"), made.area.root_hash)),
            "untrusted/hash-tree-corrupt");
  EXPECT_EQ(verdict(check_hash_tree(made.area.bytes, superblock_of(40000, "00ff10"), made.area.root_hash)),
            "untrusted/image-malformed");
  EXPECT_EQ(verdict(check_hash_tree(ByteSpan(made.area.bytes).first(made.area.bytes.size() - 1), made.superblock,
                                    made.area.root_hash)),
            "untrusted/image-malformed");
}

TEST(Verity, DamagedDataIsFoundAndTheFirstWrongBlockIsNamed) {
  for (const uint64_t blocks : {uint64_t{1}, uint64_t{128}, uint64_t{1000}}) {
    const Made made(blocks);
    const auto check = [&] {
      return check_data_blocks(made.fd.get(), 0, made.area.bytes, made.superblock, made.area.root_hash);
    };
    ASSERT_EQ(verdict(check()), "fine");
    const uint64_t wrong = blocks / 2;
    for (const uint64_t block : {wrong, blocks - 1}) {
      must(write_exactly(made.fd.get(), as_bytes("x"), block * kVerityBlock + 4095, "data"));
      const auto result = check();
      EXPECT_EQ(verdict(result), "untrusted/data-corrupt");
      EXPECT_NE(test::message(result).find("block " + std::to_string(wrong) + " "), std::string::npos)
          << test::message(result);
    }
  }
}

TEST(Verity, DataThatEndsEarlyIsAnError) {
  const Made made(10);
  ASSERT_EQ(::ftruncate(made.fd.get(), 9 * kVerityBlock), 0);
  EXPECT_FALSE(check_data_blocks(made.fd.get(), 0, made.area.bytes, made.superblock, made.area.root_hash));
  EXPECT_FALSE(build_hash_area(made.fd.get(), 0, made.superblock));
}

TEST(VeritySuperblock, RoundTrips) {
  for (const char* salt : {"", "00", "aabbccddeeff"}) {
    const VeritySuperblock made = superblock_of(12345, salt);
    const VeritySuperblock read = must(parse_verity_superblock(format_verity_superblock(made)));
    EXPECT_EQ(read.data_blocks, made.data_blocks);
    EXPECT_EQ(read.salt, made.salt);
    EXPECT_EQ(read.uuid, made.uuid);
  }
}

TEST(VeritySuperblock, HostileFieldsAreRefused) {
  const Bytes good = format_verity_superblock(superblock_of(100, "00"));
  const struct {
    const char* defect;
    size_t offset;
    uint64_t value;
    size_t size;
  } cases[] = {
      {"magic", 0, 'V', 1},
      {"magic's end", 7, 1, 1},
      {"version 0", 8, 0, 4},
      {"version 2", 8, 2, 4},
      {"hash type 0", 12, 0, 4},
      {"sha1", 32, 0x31616873, 8},
      {"sha256x", 38, 'x', 1},
      {"no algorithm", 32, 0, 8},
      {"data block 512", 64, 512, 4},
      {"data block 2^31", 64, 1U << 31, 4},
      {"hash block 512", 68, 512, 4},
      {"no data", 72, 0, 8},
      {"2^64 blocks", 72, UINT64_MAX, 8},
      {"2^52 blocks, whose size wraps", 72, uint64_t{1} << 52, 8},
      {"salt of 257", 80, 257, 2},
      {"salt of 65535", 80, 65535, 2},
  };
  for (const auto& bad : cases) {
    Bytes bytes = good;
    for (size_t i = 0; i < bad.size; ++i) bytes[bad.offset + i] = static_cast<std::byte>(bad.value >> (8 * i));
    EXPECT_EQ(verdict(parse_verity_superblock(bytes)), "untrusted/image-malformed") << bad.defect;
  }
  for (const size_t size : {size_t{0}, size_t{8}, size_t{511}}) {
    EXPECT_EQ(verdict(parse_verity_superblock(ByteSpan(good).first(size))), "untrusted/image-malformed") << size;
  }
}

}  // namespace
}  // namespace driverext
