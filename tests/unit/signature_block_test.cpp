#include "sysext/signature_block.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/verdict.hpp"
#include "sysext/manifest.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

constexpr size_t kPartition = 16384;

SignatureBlock signed_block() {
  SignatureBlock block;
  block.root_hash.fill(std::byte{0xab});
  block.certificate_fingerprint = std::string(64, 'c');
  block.signature = Bytes(300, std::byte{1});
  block.statement = Bytes(301, std::byte{2});
  return block;
}

std::string padded(std::string text, size_t size = kPartition) {
  text.resize(size, '\0');
  return text;
}

std::string parsed(const std::string& partition) { return verdict(parse_signature_block(as_bytes(partition))); }

std::string edited(const std::function<void(OrderedJson&)>& edit) {
  OrderedJson object = OrderedJson::parse(format_signature_block(signed_block()));
  edit(object);
  return parsed(padded(object.dump()));
}

TEST(SignatureBlock, SignedBlockRoundTrips) {
  const SignatureBlock made = signed_block();
  const SignatureBlock read = must(parse_signature_block(as_bytes(padded(format_signature_block(made)))));
  EXPECT_EQ(read.root_hash, made.root_hash);
  EXPECT_EQ(read.certificate_fingerprint, made.certificate_fingerprint);
  EXPECT_EQ(read.signature, made.signature);
  EXPECT_EQ(read.statement, made.statement);
  EXPECT_TRUE(read.manifest.empty());
}

TEST(SignatureBlock, UnsignedBlockKeepsTheManifest) {
  SignatureBlock made;
  made.manifest = "{\"quotes\": \"and\\n\"}\n";
  const SignatureBlock read = must(parse_signature_block(as_bytes(padded(format_signature_block(made)))));
  EXPECT_EQ(read.manifest, made.manifest);
  EXPECT_TRUE(read.signature.empty());
}

// systemd's names; it looks up exactly these three.
TEST(SignatureBlock, HasTheMembersThatSystemdReads) {
  const OrderedJson object = OrderedJson::parse(format_signature_block(signed_block()));
  EXPECT_EQ(object["rootHash"].get<std::string>().size(), 64U);
  EXPECT_EQ(object["certificateFingerprint"].get<std::string>().size(), 64U);
  EXPECT_EQ(object["signature"].get<std::string>().substr(0, 4), "AQEB");
}

TEST(SignatureBlock, OnlyNulMayStandBehindTheJson) {
  const std::string text = format_signature_block(signed_block());
  EXPECT_EQ(parsed(padded(text)), "fine");
  EXPECT_EQ(parsed(text), "fine");  // no padding at all
  for (const size_t place : {text.size() + 1, kPartition / 2, kPartition - 1}) {
    std::string junk = padded(text);
    junk[place] = 'x';
    EXPECT_EQ(parsed(junk), "untrusted/image-malformed") << place;
  }
  EXPECT_EQ(parsed(padded(text + "x")), "untrusted/image-malformed");
  EXPECT_EQ(parsed(padded(text + text)), "untrusted/image-malformed");
}

TEST(SignatureBlock, EmptyPartitionIsAnUnsignedImage) {
  EXPECT_EQ(parsed(padded("")), "untrusted/unsigned-image");
  EXPECT_EQ(parsed(""), "untrusted/unsigned-image");
}

TEST(SignatureBlock, MissingMembersAreRefused) {
  for (const char* name : {"rootHash", "certificateFingerprint"}) {
    EXPECT_EQ(edited([&](OrderedJson& object) { object.erase(name); }), "untrusted/image-malformed") << name;
  }
}

TEST(SignatureBlock, WithoutASignatureItIsAnUnsignedOne) {
  OrderedJson object = OrderedJson::parse(format_signature_block(signed_block()));
  object.erase("signature");
  EXPECT_TRUE(must(parse_signature_block(as_bytes(padded(object.dump())))).signature.empty());
}

// What systemd-repart writes.
TEST(SignatureBlock, WithoutAStatementItIsAForeignOne) {
  EXPECT_FALSE(signed_block().is_foreign());
  OrderedJson object = OrderedJson::parse(format_signature_block(signed_block()));
  object.erase("driverext");
  const SignatureBlock read = must(parse_signature_block(as_bytes(padded(object.dump()))));
  EXPECT_TRUE(read.is_foreign());
  EXPECT_EQ(format_signature_block(read), object.dump());
}

TEST(SignatureBlock, WrongMembersAreRefused) {
  const auto set = [](const char* name, OrderedJson value) {
    return edited([&](OrderedJson& object) { object[name] = std::move(value); });
  };
  EXPECT_EQ(set("rootHash", std::string(63, 'a')), "untrusted/image-malformed");
  EXPECT_EQ(set("rootHash", std::string(66, 'a')), "untrusted/image-malformed");
  EXPECT_EQ(set("rootHash", std::string(64, 'A')), "untrusted/image-malformed");
  EXPECT_EQ(set("rootHash", 1), "untrusted/image-malformed");
  EXPECT_EQ(set("signature", "not base64!"), "untrusted/image-malformed");
  EXPECT_EQ(set("signature", OrderedJson::array()), "untrusted/image-malformed");
  EXPECT_EQ(set("driverext", "AAA"), "untrusted/image-malformed");
  EXPECT_EQ(set("unknown", ""), "untrusted/image-malformed");
  EXPECT_EQ(set("manifest", "beside the statement"), "untrusted/image-malformed");
}

TEST(SignatureBlock, DuplicateMemberIsRefused) {
  std::string text = format_signature_block(signed_block());
  text.insert(1, "\"rootHash\":\"" + std::string(64, '0') + "\",");
  EXPECT_EQ(parsed(padded(text)), "untrusted/image-malformed");
}

TEST(SignatureBlock, ItsPartitionHasRoomForEveryManifestThatIsAccepted) {
  for (const size_t size : {size_t{0}, size_t{3000}, size_t{100'000}, kMaxManifestSize}) {
    SignatureBlock block = signed_block();
    block.signature = Bytes(2500);
    block.statement = Bytes(2500 + 128 + size);
    EXPECT_LT(format_signature_block(block).size(), signature_partition_size(size)) << size;
    EXPECT_LE(signature_partition_size(size), kMaxSignaturePartition) << size;
    EXPECT_EQ(signature_partition_size(size) % 4096, 0U);
    EXPECT_GE(signature_partition_size(size), kMinSignaturePartition);
  }
}

TEST(Statement, RoundTripsWhateverTheManifestHolds) {
  for (const std::string& manifest :
       {std::string("{}\n"), std::string(), std::string("\nrootHash: x\n"), std::string("a\0b", 3)}) {
    Statement made{{}, 220, manifest};
    made.root_hash.fill(std::byte{0x5c});
    const Statement read = must(parse_statement(format_statement(made)));
    EXPECT_EQ(read.root_hash, made.root_hash);
    EXPECT_EQ(read.data_blocks, 220U);
    EXPECT_EQ(read.manifest, manifest);
  }
}

TEST(Statement, AnotherTextIsNotAStatement) {
  const std::string good = format_statement({{}, 220, "{}"});
  EXPECT_EQ(verdict(parse_statement(good)), "fine");
  for (size_t size = 0; size < good.size() - 2; ++size) {
    EXPECT_EQ(verdict(parse_statement(good.substr(0, size))), "untrusted/manifest-mismatch") << size;
  }
  for (size_t i = 0; i < good.size() - 2; ++i) {
    std::string bad = good;
    bad[i] = 'Z';
    EXPECT_EQ(verdict(parse_statement(bad)), "untrusted/manifest-mismatch") << i;
  }
  const size_t digits = good.find("220");
  for (const char* number : {"", "0220", "+220", "-1", " 220", "220 ", "0x220", "18446744073709551616"}) {
    EXPECT_EQ(verdict(parse_statement(std::string(good).replace(digits, 3, number))), "untrusted/manifest-mismatch")
        << number;
  }
  EXPECT_EQ(verdict(parse_statement(std::string(64, 'a'))),
            "untrusted/manifest-mismatch");  // a bare root hash, as systemd signs it
}

}  // namespace
}  // namespace driverext
