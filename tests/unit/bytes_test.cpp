#include "base/bytes.hpp"

#include <gtest/gtest.h>

namespace driverext {
namespace {

TEST(Bytes, HexIsLowerCaseAndRoundTrips) {
  const std::string text = "00017f80ff";
  const auto bytes = from_hex(text);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(to_hex(*bytes), text);
  EXPECT_EQ(to_hex({}), "");
}

TEST(Bytes, HexRefusesWhatItWouldNotWrite) {
  for (const char* text : {"a", "0G", "FF", "0x", " 00", "00 ", "é0"}) EXPECT_FALSE(from_hex(text)) << text;
  EXPECT_TRUE(from_hex(""));
}

TEST(Bytes, IntegersAreLittleEndianAtAnyOffset) {
  Bytes bytes(11);
  store_le<uint64_t>(bytes, 1, 0x0123456789abcdef);
  EXPECT_EQ(to_hex(bytes), "00efcdab89674523010000");
  EXPECT_EQ(load_le<uint64_t>(bytes, 1), 0x0123456789abcdefU);
  EXPECT_EQ(load_le<uint32_t>(bytes, 1), 0x89abcdefU);
  EXPECT_EQ(load_le<uint16_t>(bytes, 1), 0xcdefU);
}

TEST(Bytes, GuidHasThreeLittleEndianFieldsOnDisk) {
  // UEFI specification 2.10, appendix A; the value is the root partition type of x86-64.
  const std::string text = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
  const Guid guid = guid_from_text(text);
  EXPECT_EQ(to_hex(guid), "e3bc684fcde8b14d96e7fbcaf984b709");
  EXPECT_EQ(guid_to_text(guid), text);
}

TEST(Bytes, MalformedGuidTextIsTheNullGuid) {
  for (const char* text :
       {"", "4f68bce3", "4f68bce3-e8cd-4db1-96e7-fbcaf984b70", "zf68bce3-e8cd-4db1-96e7-fbcaf984b709"}) {
    EXPECT_EQ(guid_from_text(text), Guid{}) << text;
  }
}

TEST(Bytes, Crc32IsTheOneOfIeee8023) {
  EXPECT_EQ(crc32(as_bytes("123456789")), 0xcbf43926U);  // the check value of every CRC catalogue
  EXPECT_EQ(crc32({}), 0U);
}

TEST(Bytes, RoundUpLeavesMultiplesAlone) {
  EXPECT_EQ(round_up(0, 4096), 0U);
  EXPECT_EQ(round_up(1, 4096), 4096U);
  EXPECT_EQ(round_up(4096, 4096), 4096U);
  EXPECT_EQ(round_up(4097, 4096), 8192U);
}

}  // namespace
}  // namespace driverext
