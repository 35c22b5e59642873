// SHA-256 of many independent blocks of 4096 bytes behind one salt, as dm-verity trees need it.
//
// One stream of SHA-256 waits for its own last round; blocks that do not depend on each other fill that time.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/digest.hpp"

namespace driverext {

constexpr size_t kHashedBlock = 4096;

/// How it is computed; all give the same digests.
enum class Sha256Backend {
  portable,        ///< OpenSSL, one block after the other
  avx2,            ///< eight blocks side by side
  sha_extensions,  ///< the processor's SHA instructions, several blocks interleaved
};
std::string_view backend_name(Sha256Backend backend);
/// Those that this processor has, the fastest last.
const std::vector<Sha256Backend>& sha256_backends();

/// For one thread at a time.
class BlockHasher {
 public:
  /// The backend must be one of sha256_backends().
  explicit BlockHasher(ByteSpan salt, Sha256Backend backend = sha256_backends().back());

  /// digests[i] = SHA-256(salt, blocks[i]); `blocks` holds as many blocks as `digests` has places.
  void hash(ByteSpan blocks, std::span<Digest> digests);

 private:
  void hash_one_by_one(ByteSpan blocks, std::span<Digest> digests);
  template <size_t kLanes, class Compress>
  void hash_group(const std::byte* blocks, Digest* digests, Compress compress) const;

  Bytes salt_;
  Sha256Backend backend_;
  Sha256 portable_;
  std::array<uint32_t, 8> begun_{};  ///< state after the whole 64-byte pieces of the salt
  Bytes rest_of_salt_;               ///< what comes behind those, fewer than 64 bytes
};

}  // namespace driverext
