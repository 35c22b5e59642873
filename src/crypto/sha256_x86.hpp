// The compression function of SHA-256 (FIPS 180-4, 6.2.2) by instructions that only some x86-64 processors have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace driverext::sha256_x86 {

using State = std::array<uint32_t, 8>;

bool has_sha_extensions();
bool has_avx2();

/// Each lane's state takes in `pieces` times 64 bytes from its own `data` on. Only where the processor has them.
void compress_sha_1(State* states, const std::byte* const* data, size_t pieces);
void compress_sha_4(State* states, const std::byte* const* data, size_t pieces);
void compress_avx2_8(State* states, const std::byte* const* data, size_t pieces);

}  // namespace driverext::sha256_x86
