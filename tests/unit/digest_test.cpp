#include "crypto/digest.hpp"

#include <gtest/gtest.h>

#include "crypto/sha256_blocks.hpp"

namespace driverext {
namespace {

std::string decoded(std::string_view text) {
  const auto bytes = from_base64(text);
  return bytes ? std::string(as_text(*bytes)) : "refused";
}

TEST(Sha256, VectorsOfFips180) {
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesHashAsTheWholeAndTheObjectStartsAnew) {
  Sha256 hash;
  for (int round = 0; round < 2; ++round) {
    hash.update(as_bytes("a"));
    hash.update({});
    hash.update(as_bytes("bc"));
    EXPECT_EQ(hash.finish(), sha256(as_bytes("abc")));
  }
}

// Bytes without a pattern that a wrong offset would meet again.
Bytes noise(size_t size) {
  Bytes bytes(size);
  uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

// The oracle is OpenSSL, message by message.
TEST(Sha256Blocks, EveryBackendGivesTheDigestsOfOpensslForEverySalt) {
  constexpr size_t kBlocks = 19;  // whole groups of every backend, and some left over
  const Bytes data = noise(kBlocks * kHashedBlock);
  const Bytes salts = noise(256 + 1);
  for (size_t size = 0; size <= 256; ++size) {
    const ByteSpan salt = ByteSpan(salts).last(size);
    std::vector<Digest> expected(kBlocks);
    for (size_t i = 0; i < kBlocks; ++i) {
      Sha256 hash;
      hash.update(salt);
      hash.update(ByteSpan(data).subspan(i * kHashedBlock, kHashedBlock));
      expected[i] = hash.finish();
    }
    for (const Sha256Backend backend : sha256_backends()) {
      BlockHasher hasher(salt, backend);
      std::vector<Digest> digests(kBlocks);
      hasher.hash(data, digests);
      EXPECT_TRUE(digests == expected) << backend_name(backend) << ", salt of " << size;
    }
  }
}

TEST(Sha256Blocks, AnyNumberOfBlocksAtAnyAddress) {
  const Bytes data = noise(40 * kHashedBlock + 3);
  const Bytes salt = noise(32);
  for (const Sha256Backend backend : sha256_backends()) {
    BlockHasher hasher(salt, backend);
    for (size_t count = 0; count <= 40; ++count) {
      const ByteSpan blocks = ByteSpan(data).subspan(count % 4, count * kHashedBlock);
      std::vector<Digest> digests(count);
      hasher.hash(blocks, digests);
      for (size_t i = 0; i < count; ++i) {
        Bytes message = salt;
        const ByteSpan block = blocks.subspan(i * kHashedBlock, kHashedBlock);
        message.insert(message.end(), block.begin(), block.end());
        EXPECT_EQ(digests[i], sha256(message)) << backend_name(backend) << ", " << i << " of " << count;
      }
    }
  }
}

TEST(Sha256Blocks, PortableIsAlwaysThere) {
  ASSERT_FALSE(sha256_backends().empty());
  EXPECT_EQ(sha256_backends().front(), Sha256Backend::portable);
}

TEST(Base64, VectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), text);
    EXPECT_EQ(decoded(text), plain);
  }
}

TEST(Base64, AllByteValuesRoundTrip) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t size = 250; size <= 256; ++size)
    EXPECT_EQ(decoded(to_base64(as_bytes(all.substr(0, size)))), all.substr(0, size));
}

TEST(Base64, OnlyOneSpellingOfEachValueIsAccepted) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "=Zg=", "Zg==Zg==", " Zg==", "Zg==\n", "Zm9v\n",
                           "Zm 9v", "Zm9-", "Zm9_", "Zh==", "Zm9=", "Z\xff==", "=", "\n\n\n\n"}) {
    EXPECT_EQ(decoded(text), "refused") << text;
  }
}

}  // namespace
}  // namespace driverext
