#include "sysext/verity.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "base/text.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sys/dir.hpp"
#include "sys/process.hpp"
#include "sysext/hash_tree.hpp"

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
  explicit Made(uint64_t blocks, const std::string& salt = "00ff10", const HashOptions& options = {})
      : superblock(superblock_of(blocks, salt)) {
    test::write_file(scratch / "data", data_of(blocks));
    test::write_file(scratch / "hash", "");
    data_fd = must(scratch.dir().open_file("data", O_RDWR));
    hash_fd = must(scratch.dir().open_file("hash", O_RDWR));
    root_hash = must(write_hash_area(data(), hash(), superblock, options));
  }
  [[nodiscard]] FilePlace data() const { return {data_fd.get(), 0}; }
  [[nodiscard]] FilePlace hash() const { return {hash_fd.get(), 0}; }
  [[nodiscard]] Result<void> check_tree() const { return check_hash_tree(hash(), superblock, root_hash); }
  [[nodiscard]] Result<void> check_all() const { return check_all_blocks(data(), hash(), superblock, root_hash); }
  // One bit changed; the same again changes it back.
  void flip(const UniqueFd& fd, uint64_t offset) const {
    Bytes byte(1);
    must(read_exactly(fd.get(), byte, offset, "test"));
    byte[0] ^= std::byte{1};
    must(write_exactly(fd.get(), byte, offset, "test"));
  }

  test::TempDir scratch;
  VeritySuperblock superblock;
  UniqueFd data_fd;
  UniqueFd hash_fd;
  Digest root_hash{};
};

class AgainstVeritysetup : public ::testing::TestWithParam<uint64_t> {};

// The oracle is cryptsetup: same root hash, same bytes, whichever way it was computed.
TEST_P(AgainstVeritysetup, MakesTheSameRootHashAndTheSameBytes) {
  for (const size_t salt_size : {size_t{32}, size_t{0}, size_t{64}, size_t{1}, size_t{55}, size_t{56}, size_t{256}}) {
    if (GetParam() > 200 && salt_size != 32) continue;  // salts have nothing to do with levels
    std::string salt;
    for (size_t i = 0; i < salt_size; ++i) salt += to_hex(Bytes{static_cast<std::byte>(i * 7 + 1)});
    std::string theirs;
    for (const Sha256Backend backend : sha256_backends()) {
      const Made made(GetParam(), salt, {.backend = backend});
      if (theirs.empty()) {
        const auto format = run_program({"veritysetup", "format", made.scratch / "data", made.scratch / "theirs",
                                         "--salt=" + (salt.empty() ? "-" : salt), "--uuid=" + kUuid, "--hash=sha256",
                                         "--data-block-size=4096", "--hash-block-size=4096"});
        if (!format && format.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup here";
        theirs = must(format);
        const size_t at = theirs.find("Root hash:");
        ASSERT_NE(at, std::string::npos) << theirs;
        theirs = std::string(trim(theirs.substr(at + 10, theirs.find('\n', at) - at - 10))) +
                 test::read_whole(made.scratch / "theirs");
      }
      const std::string area = test::read_whole(made.scratch / "hash");
      EXPECT_TRUE(theirs == to_hex(made.root_hash) + area) << backend_name(backend) << ", salt of " << salt_size;
      EXPECT_EQ(area.size(), hash_area_size(GetParam()));
      EXPECT_EQ(must(parse_verity_superblock(as_bytes(area))).data_blocks, GetParam());
      EXPECT_EQ(verdict(made.check_tree()), "fine");
      EXPECT_EQ(verdict(made.check_all()), "fine");
    }
  }
}

TEST_P(AgainstVeritysetup, IsAcceptedByIt) {
  const Made made(GetParam());
  const auto verified =
      run_program({"veritysetup", "verify", made.scratch / "data", made.scratch / "hash", to_hex(made.root_hash)});
  if (!verified && verified.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup on this machine";
  EXPECT_EQ(test::message(verified), "fine");
}

// 128 digests fill a block; 129 need a second level, 16385 a third.
INSTANTIATE_TEST_SUITE_P(Blocks, AgainstVeritysetup,
                         ::testing::Values(1, 2, 3, 127, 128, 129, 255, 256, 257, 16383, 16384, 16385));

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
  ASSERT_EQ(verdict(made.check_tree()), "fine");
  // First byte, last byte of the block: used digests and the zero padding behind them.
  for (uint64_t block = 1; block < hash_area_size(16385) / kVerityBlock; block += block < 6 ? 1 : 17) {
    for (const uint64_t offset : {uint64_t{0}, kVerityBlock - 1}) {
      made.flip(made.hash_fd, block * kVerityBlock + offset);
      for (const auto& result : {made.check_tree(), made.check_all()}) {
        EXPECT_EQ(verdict(result), "untrusted/hash-tree-corrupt") << block;
        EXPECT_NE(test::message(result).find("block " + std::to_string(block - 1) + " "), std::string::npos)
            << test::message(result);
      }
      made.flip(made.hash_fd, block * kVerityBlock + offset);
    }
  }
  EXPECT_EQ(verdict(made.check_all()), "fine");
}

TEST(Verity, AnotherRootHashSaltOrSizeIsFound) {
  const Made made(300);
  Digest other = made.root_hash;
  other[31] ^= std::byte{1};
  EXPECT_EQ(verdict(check_hash_tree(made.hash(), made.superblock, other)), "untrusted/hash-tree-corrupt");
  EXPECT_EQ(verdict(check_hash_tree(made.hash(), superblock_of(300, "00ff11"), made.root_hash)),
            "untrusted/hash-tree-corrupt");
  // What it promises is not there.
  EXPECT_EQ(verdict(check_hash_tree(made.hash(), superblock_of(40000, "00ff10"), made.root_hash)),
            "untrusted/image-malformed");
}

TEST(Verity, TreeThatEndsEarlyIsMalformed) {
  const Made made(300);
  ASSERT_EQ(::ftruncate(made.hash_fd.get(), static_cast<off_t>(hash_area_size(300) - 1)), 0);
  EXPECT_EQ(verdict(made.check_tree()), "untrusted/image-malformed");
  EXPECT_EQ(verdict(made.check_all()), "untrusted/image-malformed");
}

TEST(Verity, DamagedDataIsFoundAndTheFirstWrongBlockIsNamed) {
  for (const uint64_t blocks : {uint64_t{1}, uint64_t{128}, uint64_t{1000}}) {
    const Made made(blocks);
    ASSERT_EQ(verdict(made.check_all()), "fine");
    const uint64_t wrong = blocks / 2;
    for (const uint64_t block : {wrong, blocks - 1}) {
      must(write_exactly(made.data_fd.get(), as_bytes("x"), block * kVerityBlock + 4095, "data"));
      for (const Sha256Backend backend : sha256_backends()) {
        const auto result =
            check_all_blocks(made.data(), made.hash(), made.superblock, made.root_hash, {.backend = backend});
        EXPECT_EQ(verdict(result), "untrusted/data-corrupt");
        EXPECT_NE(test::message(result).find("block " + std::to_string(wrong) + " "), std::string::npos)
            << test::message(result);
      }
      EXPECT_EQ(verdict(made.check_tree()), "fine") << "data is not the tree's business";
    }
  }
}

TEST(Verity, DataThatEndsEarlyIsAnError) {
  const Made made(10);
  ASSERT_EQ(::ftruncate(made.data_fd.get(), 9 * kVerityBlock), 0);
  EXPECT_EQ(verdict(made.check_all()), "untrusted/image-malformed");
  EXPECT_FALSE(write_hash_area(made.data(), made.hash(), made.superblock));
}

// What is copied is what is hashed, and what is missing of the last block is zeros.
TEST(Verity, CopyHasTheRootHashOfWhatWasCopied) {
  for (const uint64_t blocks : {uint64_t{1}, uint64_t{128}, uint64_t{300}}) {
    const Made made(blocks);
    test::write_file(made.scratch / "copy", std::string(kVerityBlock, 'x'));
    const UniqueFd copy = must(made.scratch.dir().open_file("copy", O_RDWR));
    // The last block of the data ends with zeros; they need not be there to be copied.
    const CopySource source{made.data(), blocks * kVerityBlock - 4000};
    const FilePlace data{copy.get(), kVerityBlock};
    const FilePlace hash{copy.get(), (1 + blocks) * kVerityBlock};
    EXPECT_EQ(must(copy_and_hash(source, data, hash, made.superblock)), made.root_hash);
    EXPECT_TRUE(test::read_whole(made.scratch / "copy") ==
                std::string(kVerityBlock, 'x') + data_of(blocks) + test::read_whole(made.scratch / "hash"));
    EXPECT_EQ(verdict(check_all_blocks(data, hash, made.superblock, made.root_hash)), "fine");
  }
}

TEST(Verity, HashingTellsHowFarItIsAndStopsWhenAsked) {
  const Made made(1000);
  uint64_t last = 0;
  HashOptions options;
  options.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, 1000 * kVerityBlock);
    last = done;
  };
  must(check_all_blocks(made.data(), made.hash(), made.superblock, made.root_hash, options));
  EXPECT_EQ(last, 1000 * kVerityBlock);
  const UniqueFd cancel(::eventfd(1, EFD_CLOEXEC));
  options.cancel_fd = cancel.get();
  EXPECT_EQ(verdict(check_all_blocks(made.data(), made.hash(), made.superblock, made.root_hash, options)), "transient");
  EXPECT_EQ(verdict(write_hash_area(made.data(), made.hash(), made.superblock, options)), "transient");
}

TEST(Verity, WhatIsThrownWhileItHashesIsAnError) {
  const Made made(1'000);
  HashOptions options;
  options.progress = [](uint64_t, uint64_t) { throw std::runtime_error("no room to draw"); };
  const auto hashed = write_hash_area(made.data(), made.hash(), made.superblock, options);
  EXPECT_EQ(verdict(hashed), "system");
  EXPECT_EQ(hashed.error().what, "no room to draw");
  options.progress = [](uint64_t, uint64_t) { throw std::bad_alloc(); };
  EXPECT_EQ(verdict(write_hash_area(made.data(), made.hash(), made.superblock, options)), "system");
}

// As a service with TasksMax= finds it: pthread_create says EAGAIN.
TEST(Verity, WithoutThreadsItIsHashedByOne) {
  const Made made(1'000);
  const auto hash_alone = [&] {
    // Root may always make more; nobody has this one task, and may have no other.
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const rlimit one{1, 1};
    if (::setrlimit(RLIMIT_NPROC, &one) != 0) ::_exit(3);
    try {
      std::thread([] {}).join();
      if (std::thread::hardware_concurrency() > 1) ::_exit(4);  // the limit is none
    } catch (const std::system_error&) {
    }
    const auto again = write_hash_area(made.data(), made.hash(), made.superblock, {});
    ::_exit(again && *again == made.root_hash ? 0 : 5);
  };
  EXPECT_EXIT(hash_alone(), ::testing::ExitedWithCode(0), "");
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
