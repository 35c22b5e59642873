#include "crypto/sha256_x86.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#else
#include <cstdlib>
#endif

namespace driverext::sha256_x86 {

#if defined(__x86_64__)

namespace {

constexpr size_t kPiece = 64;
constexpr int kRounds = 64;

// FIPS 180-4, 4.2.2.
alignas(64) constexpr std::array<uint32_t, kRounds> kConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// Lambdas and standard algorithms do not take on the target of the function they stand in: plain loops, unrolled.
#define DRIVEREXT_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define DRIVEREXT_AVX2 __attribute__((target("avx2")))

// The SHA instructions hold the state as the words A B E F and C D G H. Four rounds of every lane stand side by side:
// a lane's next rounds wait for its last ones, another lane's do not.
template <int kLanes>
DRIVEREXT_SHA inline void compress_sha(State* states, const std::byte* const* data, size_t pieces) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[kLanes];
  __m128i cdgh[kLanes];
#pragma GCC unroll 4
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto* words = reinterpret_cast<const __m128i*>(states[lane].data());
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
    abef[lane] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[lane] = _mm_blend_epi16(efgh, cdab, 0xf0);
  }
  for (size_t piece = 0; piece < pieces; ++piece) {
    __m128i abef_before[kLanes];
    __m128i cdgh_before[kLanes];
    __m128i w[kLanes][4];  // the last 16 words of the message schedule
#pragma GCC unroll 4
    for (int lane = 0; lane < kLanes; ++lane) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
    }
#pragma GCC unroll 16
    for (int group = 0; group < kRounds / 4; ++group) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(&kConstants[group * 4]));
#pragma GCC unroll 4
      for (int lane = 0; lane < kLanes; ++lane) {
        __m128i* const last = w[lane];
        __m128i words;
        if (group < 4) {
          const std::byte* from = data[lane] + piece * kPiece + group * 16;
          words = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), big_endian);
        } else {
          const __m128i seven_back = _mm_alignr_epi8(last[(group + 3) % 4], last[(group + 2) % 4], 4);
          words = _mm_add_epi32(_mm_sha256msg1_epu32(last[group % 4], last[(group + 1) % 4]), seven_back);
          words = _mm_sha256msg2_epu32(words, last[(group + 3) % 4]);
        }
        last[group % 4] = words;
        words = _mm_add_epi32(words, constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], words);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(words, 0x0e));
      }
    }
#pragma GCC unroll 4
    for (int lane = 0; lane < kLanes; ++lane) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
#pragma GCC unroll 4
  for (int lane = 0; lane < kLanes; ++lane) {
    auto* words = reinterpret_cast<__m128i*>(states[lane].data());
    const __m128i feba = _mm_shuffle_epi32(abef[lane], 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh[lane], 0xb1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

template <int kBits>
DRIVEREXT_AVX2 inline __m256i rotated(__m256i x) {
  return _mm256_or_si256(_mm256_srli_epi32(x, kBits), _mm256_slli_epi32(x, 32 - kBits));
}
DRIVEREXT_AVX2 inline __m256i xor_of(__m256i a, __m256i b, __m256i c) {
  return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

// Eight rows of eight words: rows become columns.
DRIVEREXT_AVX2 inline void transpose(__m256i (&rows)[8]) {
  __m256i pairs[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  __m256i fours[8];
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
  }
}

// FIPS 180-4, 6.2.2: the message schedule's word for a round, from the 16 before it.
DRIVEREXT_AVX2 inline __m256i next_word(const __m256i (&w)[16], int round) {
  const __m256i early = w[(round + 1) % 16];
  const __m256i late = w[(round + 14) % 16];
  const __m256i sigma0 = xor_of(rotated<7>(early), rotated<18>(early), _mm256_srli_epi32(early, 3));
  const __m256i sigma1 = xor_of(rotated<17>(late), rotated<19>(late), _mm256_srli_epi32(late, 10));
  return _mm256_add_epi32(_mm256_add_epi32(w[round % 16], sigma0), _mm256_add_epi32(w[(round + 9) % 16], sigma1));
}

}  // namespace

bool has_sha_extensions() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kSha = 1U << 29;  // leaf 7: __builtin_cpu_supports of g++ 12 does not know it
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & kSha) != 0 &&
         __builtin_cpu_supports("sse4.1") != 0 && __builtin_cpu_supports("ssse3") != 0;
}

bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }

DRIVEREXT_SHA void compress_sha_1(State* states, const std::byte* const* data, size_t pieces) {
  compress_sha<1>(states, data, pieces);
}
DRIVEREXT_SHA void compress_sha_4(State* states, const std::byte* const* data, size_t pieces) {
  compress_sha<4>(states, data, pieces);
}

// Word i of all lanes stands in one register.
DRIVEREXT_AVX2 void compress_avx2_8(State* states, const std::byte* const* data, size_t pieces) {
  const __m256i big_endian =
      _mm256_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203, 0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m256i state[8];
  for (int lane = 0; lane < 8; ++lane) {
    state[lane] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(states[lane].data()));
  }
  transpose(state);
  for (size_t piece = 0; piece < pieces; ++piece) {
    __m256i w[16];
    for (int half = 0; half < 2; ++half) {
      __m256i words[8];
      for (int lane = 0; lane < 8; ++lane) {
        const std::byte* from = data[lane] + piece * kPiece + static_cast<size_t>(half) * 32;
        words[lane] = _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), big_endian);
      }
      transpose(words);
      for (int i = 0; i < 8; ++i) w[half * 8 + i] = words[i];
    }
    __m256i a = state[0];
    __m256i b = state[1];
    __m256i c = state[2];
    __m256i d = state[3];
    __m256i e = state[4];
    __m256i f = state[5];
    __m256i g = state[6];
    __m256i h = state[7];
#pragma GCC unroll 16
    for (int round = 0; round < kRounds; ++round) {
      if (round >= 16) w[round % 16] = next_word(w, round);
      const __m256i constant = _mm256_set1_epi32(static_cast<int>(kConstants[static_cast<size_t>(round)]));
      const __m256i sum1 = xor_of(rotated<6>(e), rotated<11>(e), rotated<25>(e));
      const __m256i choice = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
      const __m256i t1 = _mm256_add_epi32(
          _mm256_add_epi32(_mm256_add_epi32(h, sum1), _mm256_add_epi32(choice, constant)), w[round % 16]);
      const __m256i sum0 = xor_of(rotated<2>(a), rotated<13>(a), rotated<22>(a));
      const __m256i majority = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
      h = g;
      g = f;
      f = e;
      e = _mm256_add_epi32(d, t1);
      d = c;
      c = b;
      b = a;
      a = _mm256_add_epi32(t1, _mm256_add_epi32(sum0, majority));
    }
    const __m256i after[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state[i] = _mm256_add_epi32(state[i], after[i]);
  }
  transpose(state);
  for (int lane = 0; lane < 8; ++lane) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(states[lane].data()), state[lane]);
  }
}

#undef DRIVEREXT_SHA
#undef DRIVEREXT_AVX2

#else  // OpenSSL has what other processors offer

bool has_sha_extensions() { return false; }
bool has_avx2() { return false; }
void compress_sha_1(State*, const std::byte* const*, size_t) { std::abort(); }
void compress_sha_4(State*, const std::byte* const*, size_t) { std::abort(); }
void compress_avx2_8(State*, const std::byte* const*, size_t) { std::abort(); }

#endif

}  // namespace driverext::sha256_x86
