#include "modules/module_signature.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "crypto/trust_store.hpp"
#include "support/signer.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

constexpr size_t kMagicSize = 28;
constexpr size_t kEnd = kMagicSize + 12;

// RSA as kernels want it, which also gives the same signature each time.
const test::Identity& signer() {
  static const test::Identity identity = test::make_identity({.name = "module signer", .key_type = test::KeyType::rsa});
  return identity;
}

std::string signed_module(const std::string& module) {
  const Bytes signature = must(make_module_signature(as_bytes(module), signer().signing_key(), SignatureHash::sha256));
  return module + std::string(as_text(signature));
}

TEST(ModuleSignature, SaysWhoSignedTheModule) {
  const std::string module = test::tiny_module({});
  const std::string bytes = signed_module(module);
  const auto signature = must(read_module_signature(as_bytes(bytes)));
  ASSERT_TRUE(signature.has_value());
  EXPECT_EQ(signature->signer, "module signer");
  EXPECT_EQ(signature->hash, "sha256");
  EXPECT_EQ(signature->size, bytes.size() - module.size());
  EXPECT_FALSE(signature->key_id.empty());
}

TEST(ModuleSignature, IsOverAllOfTheModule) {
  const std::string module = test::tiny_module({});
  const std::string bytes = signed_module(module);
  const std::string pkcs7 = bytes.substr(module.size(), bytes.size() - module.size() - kEnd);
  TrustStore store;
  must(store.add_pem(signer().certificate_pem, "signer"));
  const JudgedTime any_time = [](ByteSpan) -> Result<int64_t> { return 1'000'000'000; };
  EXPECT_EQ(verdict(store.verify_detached(as_bytes(pkcs7), as_bytes(module), any_time)), "fine");
  std::string changed = module;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  EXPECT_EQ(verdict(store.verify_detached(as_bytes(pkcs7), as_bytes(changed), any_time)),
            "untrusted/signature-invalid");
}

TEST(ModuleSignature, UnsignedModuleHasNone) {
  for (const std::string& bytes : {test::tiny_module({}), std::string(), std::string("~Module signature appended~")}) {
    EXPECT_FALSE(must(read_module_signature(as_bytes(bytes))).has_value());
  }
}

TEST(ModuleSignature, DamagedTrailerIsNoSignature) {
  const std::string good = signed_module(test::tiny_module({}));
  const size_t trailer = good.size() - kEnd;
  const auto with = [&](size_t at, char value) {
    std::string bytes = good;
    bytes[trailer + at] = value;
    return verdict(read_module_signature(as_bytes(bytes)));
  };
  // algo, hash, id_type, signer_len, key_id_len and padding: the kernel takes one value of each.
  for (const size_t field : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U}) EXPECT_EQ(with(field, '\x07'), "invalid_input") << field;
  EXPECT_EQ(with(8, '\x7f'), "invalid_input");   // far larger than the file
  EXPECT_EQ(with(11, '\x00'), "invalid_input");  // cuts the PKCS#7
  for (const size_t kept : {size_t{0}, size_t{1}, size_t{11}, size_t{12}, size_t{13}}) {
    const std::string tail = good.substr(good.size() - kMagicSize - kept);
    EXPECT_EQ(verdict(read_module_signature(as_bytes(tail))), "invalid_input") << kept;
  }
}

TEST(ModuleSignature, SizeOfNothingOrOfAllIsNoSignature) {
  const std::string good = signed_module(test::tiny_module({}));
  for (const uint32_t size : {0U, static_cast<uint32_t>(good.size() - kEnd), UINT32_MAX}) {
    std::string bytes = good;
    for (size_t i = 0; i < 4; ++i) {
      bytes[bytes.size() - kMagicSize - 4 + i] = static_cast<char>(size >> (8 * (3 - i)) & 0xff);
    }
    EXPECT_EQ(verdict(read_module_signature(as_bytes(bytes))), "invalid_input") << size;
  }
}

class SignModuleFile : public ::testing::Test {
 protected:
  SignModuleFile() { put(test::tiny_module({})); }
  void put(const std::string& bytes, mode_t mode = 0644) { test::write_file(path_, bytes, mode); }
  std::string sign(SignedBefore before = SignedBefore::refuse) {
    return verdict(sign_module_file(path_, signer().signing_key(), SignatureHash::sha256, before));
  }

  test::TempDir folder_;
  const std::string path_ = folder_ / "testcam.ko";
};

TEST_F(SignModuleFile, AppendsTheSignature) {
  EXPECT_EQ(sign(), "fine");
  EXPECT_TRUE(test::read_whole(path_) == signed_module(test::tiny_module({})));
  EXPECT_EQ(must(folder_.dir().list(".")), std::vector<std::string>{"testcam.ko"});
}

TEST_F(SignModuleFile, SignedModuleIsSignedAgainOnlyIfAsked) {
  EXPECT_EQ(sign(), "fine");
  const std::string once = test::read_whole(path_);
  EXPECT_EQ(sign(), "conflict");
  EXPECT_TRUE(test::read_whole(path_) == once);
  EXPECT_EQ(sign(SignedBefore::replace), "fine");
  EXPECT_TRUE(test::read_whole(path_) == once);  // in the old one's place, not behind it
}

TEST_F(SignModuleFile, ModeStays) {
  put(test::tiny_module({}), 0640);
  EXPECT_EQ(sign(), "fine");
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640U);
}

TEST_F(SignModuleFile, LinkStaysOneAndItsTargetIsSigned) {
  must(folder_.dir().make_link("testcam.ko", "link.ko"));
  EXPECT_EQ(verdict(sign_module_file(folder_ / "link.ko", signer().signing_key(), SignatureHash::sha256,
                                     SignedBefore::refuse)),
            "fine");
  EXPECT_TRUE(must(folder_.dir().read_link("link.ko")).has_value());
  EXPECT_TRUE(must(read_module_signature(as_bytes(test::read_whole(path_)))).has_value());
}

TEST_F(SignModuleFile, WhatIsNoPlainModuleStaysAsItIs) {
  const std::string broken = signed_module(test::tiny_module({})).substr(200);
  for (const std::string& content : {std::string(), std::string("text"), test::tiny_elf("id"),
                                     std::string("\xfd"
                                                 "7zXZ") +
                                         std::string(100, 'x'),
                                     std::string("\x28\xb5\x2f\xfd") + std::string(100, 'x'),
                                     std::string("\x1f\x8b") + std::string(100, 'x'), broken}) {
    put(content);
    EXPECT_EQ(sign(SignedBefore::replace), "invalid_input");
    EXPECT_TRUE(test::read_whole(path_) == content);
  }
  EXPECT_EQ(verdict(check_module_can_be_signed(folder_ / "none.ko", SignedBefore::refuse)), "not_found");
}

}  // namespace
}  // namespace driverext
