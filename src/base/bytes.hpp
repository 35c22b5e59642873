// Bytes: little-endian access, hexadecimal, GUID text. Nothing here reads past its span.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace driverext {

using ByteSpan = std::span<const std::byte>;
using Bytes = std::vector<std::byte>;

inline ByteSpan as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Little-endian integer at `offset`. The caller has checked that it lies inside.
template <class T>
T load_le(ByteSpan bytes, size_t offset) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(std::to_integer<uint8_t>(bytes[offset + i])) << (8 * i));
  }
  return value;
}

template <class T>
void store_le(std::span<std::byte> bytes, size_t offset, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes[offset + i] = static_cast<std::byte>((value >> (8 * i)) & 0xff);
  }
}

bool is_all_zero(ByteSpan bytes);

std::string to_hex(ByteSpan bytes);
/// Lower-case hexadecimal only, an even number of digits; anything else is nothing.
std::optional<Bytes> from_hex(std::string_view text);

/// 16 bytes as they stand on disk: the first three fields of a GPT GUID are little-endian.
using Guid = std::array<std::byte, 16>;
/// From "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" to GPT byte order. The text must be well-formed.
Guid guid_from_text(std::string_view text);
std::string guid_to_text(const Guid& guid);

/// CRC-32 (IEEE 802.3, reflected), as GPT headers use it.
uint32_t crc32(ByteSpan bytes);

constexpr uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace driverext
