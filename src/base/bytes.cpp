#include "base/bytes.hpp"

#include <algorithm>

namespace driverext {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Position of each on-disk byte of a GUID in its text form, counted in hex digit pairs.
constexpr std::array<size_t, 16> kGuidOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? (c >> 1) ^ 0xedb88320U : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

}  // namespace

bool is_all_zero(ByteSpan bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string to_hex(ByteSpan bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    text += kDigits[std::to_integer<size_t>(b >> 4)];
    text += kDigits[std::to_integer<size_t>(b & std::byte{15})];
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes bytes(text.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return bytes;
}

Guid guid_from_text(std::string_view text) {
  std::string digits;
  for (char c : text) {
    if (c != '-') digits += c;
  }
  Guid guid{};
  const auto bytes = from_hex(digits);
  if (!bytes || bytes->size() != guid.size()) return guid;
  for (size_t i = 0; i < guid.size(); ++i) guid[i] = (*bytes)[kGuidOrder[i]];
  return guid;
}

std::string guid_to_text(const Guid& guid) {
  Bytes ordered(guid.size());
  for (size_t i = 0; i < guid.size(); ++i) ordered[kGuidOrder[i]] = guid[i];
  std::string text = to_hex(ordered);
  for (size_t position : {20, 16, 12, 8}) text.insert(position, "-");
  return text;
}

uint32_t crc32(ByteSpan bytes) {
  uint32_t c = 0xffffffffU;
  for (std::byte b : bytes) c = kCrcTable[(c ^ std::to_integer<uint32_t>(b)) & 0xff] ^ (c >> 8);
  return c ^ 0xffffffffU;
}

}  // namespace driverext
