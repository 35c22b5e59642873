// The checksum of cksum(1): POSIX.1, a CRC-32 with the most significant bit first and the length behind the data.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"

namespace driverext {

class Cksum {
 public:
  void update(ByteSpan bytes) {
    for (const std::byte byte : bytes) add(std::to_integer<uint8_t>(byte));
    length_ += bytes.size();
  }
  /// The object is used up.
  uint32_t finish() {
    for (; length_ != 0; length_ >>= 8) add(static_cast<uint8_t>(length_ & 0xff));
    return ~crc_;
  }

 private:
  static constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i << 24;
      for (int bit = 0; bit < 8; ++bit) value = (value << 1) ^ ((value >> 31) * 0x04c11db7U);
      table[i] = value;
    }
    return table;
  }();

  void add(uint8_t byte) { crc_ = (crc_ << 8) ^ kTable[(crc_ >> 24) ^ byte]; }

  uint32_t crc_ = 0;
  uint64_t length_ = 0;
};

}  // namespace driverext
