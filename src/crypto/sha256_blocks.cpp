#include "crypto/sha256_blocks.hpp"

#include <algorithm>

#include "crypto/sha256_x86.hpp"

namespace driverext {
namespace {

constexpr size_t kPiece = 64;  // what the compression function takes at once
constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,  // FIPS 180-4, 5.3.3
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void store_big_endian(std::byte* to, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) to[i] = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
}

}  // namespace

std::string_view backend_name(Sha256Backend backend) {
  switch (backend) {
    case Sha256Backend::portable:
      return "portable";
    case Sha256Backend::avx2:
      return "avx2";
    case Sha256Backend::sha_extensions:
      return "sha-extensions";
  }
  return "";
}

const std::vector<Sha256Backend>& sha256_backends() {
  static const std::vector<Sha256Backend> backends = [] {
    std::vector<Sha256Backend> found = {Sha256Backend::portable};
    if (sha256_x86::has_avx2()) found.push_back(Sha256Backend::avx2);
    if (sha256_x86::has_sha_extensions()) found.push_back(Sha256Backend::sha_extensions);
    return found;
  }();
  return backends;
}

BlockHasher::BlockHasher(ByteSpan salt, Sha256Backend backend)
    : salt_(salt.begin(), salt.end()), backend_(backend), begun_(kInitial) {
  if (backend_ == Sha256Backend::portable) return;
  const size_t whole = salt.size() / kPiece * kPiece;
  std::array<sha256_x86::State, 8> states;
  states.fill(begun_);
  std::array<const std::byte*, 8> data{};
  data.fill(salt.data());
  const auto compress =
      backend_ == Sha256Backend::sha_extensions ? sha256_x86::compress_sha_1 : sha256_x86::compress_avx2_8;
  compress(states.data(), data.data(), whole / kPiece);
  begun_ = states[0];
  rest_of_salt_.assign(salt.begin() + static_cast<ptrdiff_t>(whole), salt.end());
}

void BlockHasher::hash_one_by_one(ByteSpan blocks, std::span<Digest> digests) {
  for (size_t i = 0; i < digests.size(); ++i) {
    portable_.update(salt_);
    portable_.update(blocks.subspan(i * kHashedBlock, kHashedBlock));
    digests[i] = portable_.finish();
  }
}

// The message of a lane is: rest of the salt, block, padding. Its first and last pieces are put together here, what
// lies between is taken from where it stands.
template <size_t kLanes, class Compress>
void BlockHasher::hash_group(const std::byte* blocks, Digest* digests, Compress compress) const {
  const size_t rest = rest_of_salt_.size();
  const size_t head = rest == 0 ? 0 : kPiece - rest;  // bytes of the block that share a piece with the salt
  std::array<std::array<std::byte, 2 * kPiece>, kLanes> edge;
  std::array<const std::byte*, kLanes> data{};
  std::array<sha256_x86::State, kLanes> states;
  states.fill(begun_);

  if (rest != 0) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      std::copy(rest_of_salt_.begin(), rest_of_salt_.end(), edge[lane].begin());
      std::copy_n(blocks + lane * kHashedBlock, head, edge[lane].begin() + static_cast<ptrdiff_t>(rest));
      data[lane] = edge[lane].data();
    }
    compress(states.data(), data.data(), 1);
  }
  for (size_t lane = 0; lane < kLanes; ++lane) data[lane] = blocks + lane * kHashedBlock + head;
  compress(states.data(), data.data(), (kHashedBlock - head) / kPiece);

  // Behind the last bytes: a one bit, zeros, and the message's length in bits.
  const size_t pieces = rest + 1 + sizeof(uint64_t) <= kPiece ? 1 : 2;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    auto& tail = edge[lane];
    tail.fill(std::byte{0});
    std::copy_n(blocks + (lane + 1) * kHashedBlock - rest, rest, tail.begin());
    tail[rest] = std::byte{0x80};
    store_big_endian(tail.data() + pieces * kPiece - sizeof(uint64_t), (salt_.size() + kHashedBlock) * 8,
                     sizeof(uint64_t));
    data[lane] = tail.data();
  }
  compress(states.data(), data.data(), pieces);

  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t word = 0; word < states[lane].size(); ++word) {
      store_big_endian(digests[lane].data() + word * sizeof(uint32_t), states[lane][word], sizeof(uint32_t));
    }
  }
}

void BlockHasher::hash(ByteSpan blocks, std::span<Digest> digests) {
  if (backend_ == Sha256Backend::portable) {
    hash_one_by_one(blocks, digests);
    return;
  }
  size_t done = 0;
  const auto groups = [&]<size_t kLanes>(auto compress) {
    for (; done + kLanes <= digests.size(); done += kLanes) {
      hash_group<kLanes>(blocks.data() + done * kHashedBlock, &digests[done], compress);
    }
  };
  if (backend_ == Sha256Backend::avx2) {
    groups.template operator()<8>(sha256_x86::compress_avx2_8);
    hash_one_by_one(blocks.subspan(done * kHashedBlock), digests.subspan(done));
    return;
  }
  groups.template operator()<4>(sha256_x86::compress_sha_4);
  groups.template operator()<1>(sha256_x86::compress_sha_1);
}

}  // namespace driverext
