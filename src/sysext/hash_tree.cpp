#include "sysext/hash_tree.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "sys/dir.hpp"
#include "sys/process.hpp"
#include "sysext/output_file.hpp"

namespace driverext {
namespace {

constexpr uint64_t kDigestsPerBlock = kVerityBlock / sizeof(Digest);
// What a thread takes at once when blocks are checked: those whose digests fill one block of the tree.
constexpr uint64_t kCheckedWindow = kDigestsPerBlock;
// And when a tree is made: those of several of its blocks, which are written together.
constexpr uint64_t kHashedWindow = 8 * kDigestsPerBlock;
// The blocks that are read at once: 64 KiB, which are still in the processor's cache when they are hashed.
constexpr uint64_t kPiece = 16;
// More are no faster than memory.
constexpr unsigned kMaxThreads = 16;

static_assert(kHashedBlock == kVerityBlock);

Error interrupted() { return make_error(Errc::transient, "hashing was interrupted"); }

// Runs `work(first, count)` over all `blocks` blocks, `window` of them at a time, in order, on all processors.
// make_work(): called once a thread, for what has buffers of its own. The error of the lowest window that failed is
// returned; all windows below it were done. Nothing is thrown, whatever memory, the system or options.progress throw:
// it becomes the error.
template <class MakeWork>
Result<void> for_each_window(uint64_t blocks, uint64_t window, const HashOptions& options, const MakeWork& make_work) {
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;
  uint64_t failed_at = blocks;

  const auto fail = [&](uint64_t at, Error error) {
    const std::lock_guard lock(mutex);
    if (!failure || at < failed_at) {
      failed_at = at;
      failure = std::move(error);
    }
    next = blocks;  // windows already begun are finished
  };
  // What is thrown belongs to no window: it counts before all of them.
  const auto guarded = [&](auto&& action) {
    try {
      action();
    } catch (const std::bad_alloc&) {
      fail(0, make_error(Errc::system, "out of memory"));
    } catch (const std::exception& thrown) {
      fail(0, make_error(Errc::system, thrown.what()));
    }
  };
  const auto run = [&](auto&& told) {
    auto work = make_work();
    while (true) {
      const uint64_t first = next.fetch_add(window);
      if (first >= blocks) return;
      const uint64_t count = std::min(window, blocks - first);
      Result<void> done = is_readable(options.cancel_fd) ? interrupted() : work(first, count);
      if (!done) return fail(first, std::move(done).error());
      told(first + count);
    }
  };
  const auto tell = [&](uint64_t done) {
    if (options.progress) options.progress(done * kVerityBlock, blocks * kVerityBlock);
  };

  const uint64_t windows = (blocks + window - 1) / window;
  const unsigned processors = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
  {
    std::vector<std::jthread> threads;
    try {
      for (uint64_t i = 1; i < std::min<uint64_t>(processors, windows); ++i) {
        threads.emplace_back([&] { guarded([&] { run([](uint64_t) {}); }); });
      }
    } catch (const std::exception&) {
      // No more threads (TasksMax=, memory): those that are there do it, or this one alone.
    }
    guarded([&] { run(tell); });
  }
  if (!failure) guarded([&] { tell(blocks); });
  if (failure) return *std::move(failure);
  return {};
}

uint64_t level_offset(const TreeLevel& level, uint64_t block) {
  return (1 + level.first_block + block) * kVerityBlock;  // the superblock comes before all levels
}

// Hashes blocks that stand in a file, or are brought there on the way, and writes the digests to another place.
class LevelWriter {
 public:
  struct Places {
    FilePlace blocks;
    const CopySource* copied_from = nullptr;
    FilePlace digests = {};
    Digest* only = nullptr;  // a lone block's digest: it has no place in the tree
  };

  LevelWriter(const Places& places, const Bytes& salt, Sha256Backend backend)
      : places_(places), hasher_(salt, backend), piece_(kPiece * kVerityBlock) {}

  Result<void> operator()(uint64_t first, uint64_t count) {
    for (uint64_t done = 0; done < count; done += kPiece) {
      const uint64_t blocks = std::min(kPiece, count - done);
      const auto piece = std::span(piece_).first(blocks * kVerityBlock);
      const uint64_t offset = (first + done) * kVerityBlock;
      if (places_.copied_from == nullptr) {
        TRY_VOID(read_exactly(places_.blocks.fd, piece, places_.blocks.offset + offset, "what is hashed"));
      } else {
        TRY_VOID(copy(*places_.copied_from, piece, offset));
      }
      hasher_.hash(piece, std::span(digests_).subspan(done, blocks));
    }
    if (places_.copied_from != nullptr) {
      start_write_back(places_.blocks.fd, places_.blocks.offset + first * kVerityBlock, count * kVerityBlock);
    }
    if (places_.only != nullptr) {
      *places_.only = digests_[0];
      return {};
    }
    const uint64_t filled = round_up(count, kDigestsPerBlock);  // more than there are in the level's last block
    std::fill(digests_.begin() + static_cast<ptrdiff_t>(count), digests_.begin() + static_cast<ptrdiff_t>(filled),
              Digest{});
    return write_exactly(places_.digests.fd, std::as_bytes(std::span(digests_).first(filled)),
                         places_.digests.offset + first / kDigestsPerBlock * kVerityBlock, "hash tree");
  }

 private:
  Result<void> copy(const CopySource& source, std::span<std::byte> piece, uint64_t offset) {
    const uint64_t there = std::min<uint64_t>(piece.size(), source.size - offset);
    TRY_VOID(read_exactly(source.from.fd, piece.first(there), source.from.offset + offset, "what is copied"));
    std::fill(piece.begin() + static_cast<ptrdiff_t>(there), piece.end(), std::byte{0});
    return write_exactly(places_.blocks.fd, piece, places_.blocks.offset + offset, "image");
  }

  Places places_;
  BlockHasher hasher_;
  Bytes piece_;
  std::array<Digest, kHashedWindow> digests_{};
};

Result<Digest> write_area(const CopySource* source, FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                          const HashOptions& options) {
  const std::vector<TreeLevel> levels = tree_levels(superblock.data_blocks);
  TRY_VOID(write_exactly(hash.fd, format_verity_superblock(superblock), hash.offset, "hash area"));
  Digest root{};
  LevelWriter::Places places{.blocks = data, .copied_from = source};
  HashOptions with_progress = options;
  uint64_t blocks = superblock.data_blocks;
  // From the bottom to the top: each level is what the one above it is made of.
  for (size_t level = levels.size() + 1; level-- > 0;) {
    if (level == 0) {
      places.only = &root;
    } else {
      places.digests = {hash.fd, hash.offset + level_offset(levels[level - 1], 0)};
    }
    TRY_VOID(for_each_window(blocks, kHashedWindow, with_progress,
                             [&] { return LevelWriter(places, superblock.salt, options.backend); }));
    if (level == 0) break;
    blocks = levels[level - 1].blocks;
    places.blocks = places.digests;
    places.copied_from = nullptr;
    with_progress.progress = {};  // the data was 99 % of it
  }
  return root;
}

// One block of each level, checked from the top down to the one that is asked for. What was checked is what is used:
// nothing is read twice.
class CheckedPath {
 public:
  CheckedPath(FilePlace hash, const VeritySuperblock& superblock, const Digest& root_hash, Sha256Backend backend)
      : hash_(hash),
        levels_(tree_levels(superblock.data_blocks)),
        root_hash_(root_hash),
        hasher_(superblock.salt, backend),
        kept_(levels_.size()) {}

  /// The digests that `block` and those behind it must have, up to the end of the tree's block that they stand in. The
  /// data is one deeper than the last level. Good until the next call.
  Result<ByteSpan> expected(size_t depth, uint64_t block) {
    if (depth == 0) return ByteSpan(root_hash_);
    TRY_VOID(keep(depth - 1, block / kDigestsPerBlock));
    return ByteSpan(kept_[depth - 1].bytes).subspan(block % kDigestsPerBlock * sizeof(Digest));
  }

  [[nodiscard]] Error wrong(size_t depth, uint64_t block) const {
    if (depth == levels_.size()) {
      return make_error(Errc::untrusted, Reason::data_corrupt,
                        "data block " + std::to_string(block) + " does not match its hash");
    }
    return make_error(
        Errc::untrusted, Reason::hash_tree_corrupt,
        "hash block " + std::to_string(levels_[depth].first_block + block) + " does not lead to the signed root hash");
  }

 private:
  struct Kept {
    std::optional<uint64_t> block;
    Bytes bytes;
  };

  Result<void> keep(size_t level, uint64_t block) {
    Kept& kept = kept_[level];
    if (kept.block == block) return {};
    kept.block.reset();
    kept.bytes.resize(kVerityBlock);
    TRY(const ByteSpan wanted, expected(level, block));
    TRY_VOID(read_exactly(hash_.fd, kept.bytes, hash_.offset + level_offset(levels_[level], block), "hash tree"));
    Digest digest{};
    hasher_.hash(kept.bytes, std::span(&digest, 1));
    if (!std::equal(digest.begin(), digest.end(), wanted.begin())) return wrong(level, block);
    kept.block = block;
    return {};
  }

  FilePlace hash_;
  std::vector<TreeLevel> levels_;
  Digest root_hash_;
  BlockHasher hasher_;
  std::vector<Kept> kept_;
};

// Compares the blocks of one depth with what the path to them says.
class DepthChecker {
 public:
  DepthChecker(FilePlace blocks, size_t depth, FilePlace hash, const VeritySuperblock& superblock,
               const Digest& root_hash, Sha256Backend backend)
      : blocks_(blocks),
        depth_(depth),
        path_(hash, superblock, root_hash, backend),
        hasher_(superblock.salt, backend),
        piece_(kPiece * kVerityBlock) {}

  Result<void> operator()(uint64_t first, uint64_t count) {
    TRY(const ByteSpan wanted, path_.expected(depth_, first));
    const auto digests = std::span(digests_).first(count);
    for (uint64_t done = 0; done < count; done += kPiece) {
      const uint64_t blocks = std::min(kPiece, count - done);
      const auto piece = std::span(piece_).first(blocks * kVerityBlock);
      TRY_VOID(read_exactly(blocks_.fd, piece, blocks_.offset + (first + done) * kVerityBlock, "image data"));
      hasher_.hash(piece, digests.subspan(done, blocks));
    }
    const ByteSpan found = std::as_bytes(digests);
    const auto differs = std::mismatch(found.begin(), found.end(), wanted.begin()).first;
    if (differs == found.end()) return {};
    return path_.wrong(depth_, first + static_cast<uint64_t>(differs - found.begin()) / sizeof(Digest));
  }

 private:
  FilePlace blocks_;
  size_t depth_;
  CheckedPath path_;
  BlockHasher hasher_;
  Bytes piece_;
  std::array<Digest, kDigestsPerBlock> digests_{};
};

// A file that ends before what its superblock promises is malformed like any other.
Result<void> as_untrusted(Result<void> checked) {
  if (!checked && checked.error().code == Errc::invalid_input) {
    checked.error().code = Errc::untrusted;
    checked.error().reason = Reason::image_malformed;
  }
  return checked;
}

Result<void> check_depth(FilePlace blocks, size_t depth, uint64_t count, FilePlace hash,
                         const VeritySuperblock& superblock, const Digest& root_hash, const HashOptions& options) {
  ::posix_fadvise(blocks.fd, static_cast<off_t>(blocks.offset), static_cast<off_t>(count * kVerityBlock),
                  POSIX_FADV_SEQUENTIAL);
  return as_untrusted(for_each_window(count, kCheckedWindow, options, [&] {
    return DepthChecker(blocks, depth, hash, superblock, root_hash, options.backend);
  }));
}

}  // namespace

Result<Digest> write_hash_area(FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                               const HashOptions& options) {
  return write_area(nullptr, data, hash, superblock, options);
}

Result<Digest> copy_and_hash(CopySource source, FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                             const HashOptions& options) {
  return write_area(&source, data, hash, superblock, options);
}

Result<void> check_hash_tree(FilePlace hash, const VeritySuperblock& superblock, const Digest& root_hash,
                             const HashOptions& options) {
  const std::vector<TreeLevel> levels = tree_levels(superblock.data_blocks);
  if (levels.empty()) return {};
  const TreeLevel& bottom = levels.back();
  return check_depth({hash.fd, hash.offset + level_offset(bottom, 0)}, levels.size() - 1, bottom.blocks, hash,
                     superblock, root_hash, options);
}

Result<void> check_all_blocks(FilePlace data, FilePlace hash, const VeritySuperblock& superblock,
                              const Digest& root_hash, const HashOptions& options) {
  return check_depth(data, tree_levels(superblock.data_blocks).size(), superblock.data_blocks, hash, superblock,
                     root_hash, options);
}

}  // namespace driverext
