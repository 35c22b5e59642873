#include "sysext/verity.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr std::string_view kMagic{"verity\0\0", 8};
constexpr std::string_view kAlgorithm = "sha256";
constexpr size_t kSuperblockSize = 512;
// 16 GiB of data, whose tree of 128 MiB is still read into memory: the number is not signed, so it must not be able to
// ask for more.
constexpr uint64_t kMaxDataBlocks = uint64_t{1} << 22;

Error malformed(std::string what) {
  return make_error(Errc::untrusted, Reason::image_malformed, "dm-verity superblock: " + std::move(what));
}

class BlockHasher {
 public:
  explicit BlockHasher(const Bytes& salt) : salt_(salt) {}
  Digest operator()(ByteSpan block) {
    hash_.update(salt_);  // hash type 1: the salt comes first
    hash_.update(block);
    return hash_.finish();
  }

 private:
  Sha256 hash_;
  const Bytes& salt_;
};

// Hashes all data blocks, window by window, on all processors; `take(block, digest)` is called once
// per block, from any thread. Stops early when `take` says false.
template <class Take>
Result<void> hash_data(int fd, uint64_t offset, const VeritySuperblock& superblock, const Take& take) {
  constexpr uint64_t kWindow = 256;  // blocks: 1 MiB
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::optional<Error> failure;

  const auto work = [&] {
    BlockHasher hasher(superblock.salt);
    Bytes buffer(kWindow * kVerityBlock);
    while (!stop) {
      const uint64_t first = next.fetch_add(kWindow);
      if (first >= superblock.data_blocks) return;
      const uint64_t count = std::min(kWindow, superblock.data_blocks - first);
      const auto window = std::span(buffer).first(count * kVerityBlock);
      if (auto read = read_exactly(fd, window, offset + first * kVerityBlock, "image data"); !read) {
        const std::lock_guard lock(mutex);
        failure = std::move(read).error();
        stop = true;
        return;
      }
      for (uint64_t i = 0; i < count; ++i) {
        if (!take(first + i, hasher(window.subspan(i * kVerityBlock, kVerityBlock)))) {
          stop = true;
          return;
        }
      }
    }
  };

  const uint64_t windows = (superblock.data_blocks + kWindow - 1) / kWindow;
  const uint64_t helpers = std::min<uint64_t>(std::max(1U, std::thread::hardware_concurrency()), windows) - 1;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < helpers; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure) return *std::move(failure);
  return {};
}

size_t tree_offset(const TreeLevel& level, uint64_t block) {
  return static_cast<size_t>((1 + level.first_block + block) * kVerityBlock);
}

}  // namespace

Result<VeritySuperblock> parse_verity_superblock(ByteSpan block, BlockSizes sizes) {
  if (block.size() < kSuperblockSize || as_text(block.first(kMagic.size())) != kMagic)
    return malformed("there is none");
  if (load_le<uint32_t>(block, 8) != 1) return malformed("unknown version");
  if (load_le<uint32_t>(block, 12) != 1) return malformed("hash type is not 1");
  const ByteSpan algorithm = block.subspan(32, 32);
  if (as_text(algorithm.first(kAlgorithm.size())) != kAlgorithm || !is_all_zero(algorithm.subspan(kAlgorithm.size()))) {
    return malformed("algorithm is not sha256");
  }
  VeritySuperblock superblock;
  superblock.data_block_size = load_le<uint32_t>(block, 64);
  superblock.hash_block_size = load_le<uint32_t>(block, 68);
  const auto possible = [&](uint64_t size) {
    return size == kVerityBlock || (sizes == BlockSizes::any && (size == 512 || size == 1024 || size == 2048));
  };
  if (!possible(superblock.data_block_size) || !possible(superblock.hash_block_size)) {
    return malformed("data and hash blocks of " + std::to_string(superblock.data_block_size) + " and " +
                     std::to_string(superblock.hash_block_size) +
                     " bytes, not of 4096 (systemd-repart from 255 on makes those with VerityDataBlockSizeBytes=4096 "
                     "and VerityHashBlockSizeBytes=4096)");
  }
  std::copy_n(block.begin() + 16, superblock.uuid.size(), superblock.uuid.begin());
  superblock.data_blocks = load_le<uint64_t>(block, 72);
  if (superblock.data_blocks == 0 ||
      superblock.data_blocks > kMaxDataBlocks * (kVerityBlock / superblock.data_block_size)) {
    return malformed("impossible number of data blocks");
  }
  const size_t salt_size = load_le<uint16_t>(block, 80);
  if (salt_size > 256) return malformed("salt of more than 256 bytes");
  superblock.salt.assign(block.begin() + 88, block.begin() + 88 + static_cast<ptrdiff_t>(salt_size));
  const size_t end = std::min<size_t>(block.size(), superblock.hash_block_size);
  if (!is_all_zero(block.subspan(82, 6)) || !is_all_zero(block.first(end).subspan(88 + salt_size))) {
    return malformed("reserved bytes are in use");
  }
  return superblock;
}

Bytes format_verity_superblock(const VeritySuperblock& superblock) {
  Bytes block(kVerityBlock);
  std::memcpy(block.data(), kMagic.data(), kMagic.size());
  store_le<uint32_t>(block, 8, 1);
  store_le<uint32_t>(block, 12, 1);
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), block.begin() + 16);
  std::memcpy(block.data() + 32, kAlgorithm.data(), kAlgorithm.size());
  store_le<uint32_t>(block, 64, static_cast<uint32_t>(superblock.data_block_size));
  store_le<uint32_t>(block, 68, static_cast<uint32_t>(superblock.hash_block_size));
  store_le<uint64_t>(block, 72, superblock.data_blocks);
  store_le<uint16_t>(block, 80, static_cast<uint16_t>(superblock.salt.size()));
  std::copy(superblock.salt.begin(), superblock.salt.end(), block.begin() + 88);
  return block;
}

std::vector<TreeLevel> tree_levels(uint64_t data_blocks, uint64_t hash_block_size) {
  const uint64_t digests_per_block = hash_block_size / sizeof(Digest);
  std::vector<TreeLevel> levels;
  uint64_t blocks = data_blocks;
  while (blocks > 1) {
    blocks = (blocks + digests_per_block - 1) / digests_per_block;
    levels.insert(levels.begin(), TreeLevel{0, blocks});
  }
  uint64_t first = 0;
  for (TreeLevel& level : levels) {
    level.first_block = first;
    first += level.blocks;
  }
  return levels;
}

uint64_t hash_area_size(uint64_t data_blocks, uint64_t hash_block_size) {
  uint64_t blocks = 1;
  for (const TreeLevel& level : tree_levels(data_blocks, hash_block_size)) blocks += level.blocks;
  return blocks * hash_block_size;
}

Result<HashArea> build_hash_area(int fd, uint64_t data_offset, const VeritySuperblock& superblock) {
  HashArea area;
  area.bytes.resize(hash_area_size(superblock.data_blocks));
  const Bytes head = format_verity_superblock(superblock);
  std::copy(head.begin(), head.end(), area.bytes.begin());
  const std::vector<TreeLevel> levels = tree_levels(superblock.data_blocks);

  // A digest's place in its level is its own; the threads never write the same bytes.
  const auto put = [&](size_t level, uint64_t index, const Digest& digest) {
    std::copy(digest.begin(), digest.end(),
              area.bytes.begin() + static_cast<ptrdiff_t>(tree_offset(levels[level], 0) + index * sizeof(Digest)));
  };
  TRY_VOID(hash_data(fd, data_offset, superblock, [&](uint64_t block, const Digest& digest) {
    if (levels.empty()) {
      area.root_hash = digest;  // one data block: its digest is the root hash, there is no tree
    } else {
      put(levels.size() - 1, block, digest);
    }
    return true;
  }));

  BlockHasher hasher(superblock.salt);
  for (size_t level = levels.size(); level-- > 0;) {
    for (uint64_t block = 0; block < levels[level].blocks; ++block) {
      const Digest digest = hasher(ByteSpan(area.bytes).subspan(tree_offset(levels[level], block), kVerityBlock));
      if (level == 0) {
        area.root_hash = digest;
      } else {
        put(level - 1, block, digest);
      }
    }
  }
  return area;
}

Result<void> check_hash_tree(ByteSpan area, const VeritySuperblock& superblock, const Digest& root_hash) {
  const std::vector<TreeLevel> levels = tree_levels(superblock.data_blocks);
  if (area.size() < hash_area_size(superblock.data_blocks)) {
    return make_error(Errc::untrusted, Reason::image_malformed, "the hash tree is shorter than its data needs");
  }
  BlockHasher hasher(superblock.salt);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (uint64_t block = 0; block < levels[level].blocks; ++block) {
      const Digest digest = hasher(area.subspan(tree_offset(levels[level], block), kVerityBlock));
      const bool right = level == 0
                             ? digest == root_hash
                             : std::equal(digest.begin(), digest.end(),
                                          area.begin() + static_cast<ptrdiff_t>(tree_offset(levels[level - 1], 0) +
                                                                                block * sizeof(Digest)));
      if (!right) {
        return make_error(Errc::untrusted, Reason::hash_tree_corrupt,
                          "hash block " + std::to_string(levels[level].first_block + block) +
                              " does not lead to the signed root hash");
      }
    }
  }
  return {};
}

Result<void> check_data_blocks(int fd, uint64_t data_offset, ByteSpan area, const VeritySuperblock& superblock,
                               const Digest& root_hash) {
  const std::vector<TreeLevel> levels = tree_levels(superblock.data_blocks);
  std::mutex mutex;
  std::optional<uint64_t> first_wrong;
  TRY_VOID(hash_data(fd, data_offset, superblock, [&](uint64_t block, const Digest& digest) {
    // The digest of a lone block is the root hash itself: there is no tree then.
    const ByteSpan expected =
        levels.empty() ? ByteSpan(root_hash)
                       : area.subspan(tree_offset(levels.back(), 0) + block * sizeof(Digest), sizeof(Digest));
    if (std::equal(digest.begin(), digest.end(), expected.begin())) return true;
    const std::lock_guard lock(mutex);
    first_wrong = std::min(block, first_wrong.value_or(block));
    return false;
  }));
  if (!first_wrong) return {};
  return make_error(Errc::untrusted, Reason::data_corrupt,
                    "data block " + std::to_string(*first_wrong) + " does not match its hash");
}

}  // namespace driverext
