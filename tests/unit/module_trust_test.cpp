#include "host/module_trust.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::TempDir;
using test::write_file;

constexpr const char* kKeyring =
    "1b5d1f2c I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 1\n";
constexpr const char* kEfiFolder = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

std::string keys_text(const std::optional<std::vector<KernelKey>>& keys) {
  if (!keys) return "unknown";
  std::string text;
  for (const KernelKey& key : *keys) text += key.description + " [" + key.id + "]\n";
  return text;
}

std::string keys_of(const std::string& lines) { return keys_text(parse_kernel_keys(kKeyring + lines)); }

std::string key_line(const std::string& description, const std::string& flags = "I------",
                     const std::string& expiry = "perm") {
  return "302d2d52 " + flags + "     1 " + expiry + " 1f010000     0     0 asymmetri " + description + "\n";
}

TEST(KernelKeys, HaveDescriptionAndSubjectKeyIdentifier) {
  EXPECT_EQ(
      keys_of(key_line("Fedora kernel signing key: d69a84e6bce3d216b979e9505b3e3ef9a7118079: X509.RSA a7118079 []")),
      "Fedora kernel signing key: d69a84e6bce3d216b979e9505b3e3ef9a7118079 "
      "[d69a84e6bce3d216b979e9505b3e3ef9a7118079]\n");
  EXPECT_EQ(keys_of(key_line("O: with colons: in it: 00ab: X509.ecdsa 00ab []")),
            "O: with colons: in it: 00ab [00ab]\n");
}

// Behind the subject stands the serial number then, and the kernel shows no bytes of an identifier.
TEST(KernelKeys, CertificateWithoutAnIdentifierHasNone) {
  EXPECT_EQ(keys_of(key_line("sforshee: 00b28ddf47aef9cea7: X509.rsa []")), "sforshee: 00b28ddf47aef9cea7 []\n");
  EXPECT_EQ(keys_of(key_line("plain: X509.rsa []")), "plain []\n");
  EXPECT_EQ(keys_of(key_line("plain")), "plain []\n");
  EXPECT_EQ(keys_of(key_line("one: abcdef12: X509.rsa 34567890 []")), "one: abcdef12 []\n");
  EXPECT_EQ(keys_of(key_line("one: notahexid: X509.rsa 34567890 []")), "one: notahexid []\n");
}

TEST(KernelKeys, ThatVerifyNothingDoNotCount) {
  for (const char* flags : {"IR-----", "I-D----", "I----N-", "I-----i"}) {
    EXPECT_EQ(keys_of(key_line("a: 00: X509.rsa []", flags)), "") << flags;
  }
  EXPECT_EQ(keys_of(key_line("a: 00: X509.rsa []", "I--Q---", "expd")), "");
  EXPECT_EQ(keys_of(key_line("a: 00: X509.rsa []", "I--Q---", "3w")), "a: 00 []\n");
}

TEST(KernelKeys, OfSeveralKeyringsAreListedOnce) {
  const std::string line = key_line("a: 00: X509.rsa []");
  EXPECT_EQ(keys_of(line + line), "a: 00 []\n");
}

TEST(KernelKeys, AreUnknownToWhoMayNotSeeTheKernelsKeyrings) {
  const std::string own = "3a6e0c55 I--Q---     4 perm 1f3f0000  1000 65534 keyring   _uid.1000: empty\n";
  EXPECT_EQ(keys_text(parse_kernel_keys(own + key_line("a: 00: X509.rsa []"))), "unknown");
  EXPECT_EQ(keys_text(parse_kernel_keys("")), "unknown");
  EXPECT_EQ(keys_text(parse_kernel_keys(kKeyring)), "");
}

TEST(KernelKeys, LinesOfOtherKindsAreIgnored) {
  EXPECT_EQ(keys_of("\nnonsense\n302d2d52 I------ 1 perm 1f010000 0 0 asymmetri\n\x01\x02\xff\n"
                    "2e1f I------ 1 perm 1f010000 0 0 user a: 00: X509.rsa []\n"),
            "");
}

class ModuleTrustTest : public ::testing::Test {
 protected:
  [[nodiscard]] ModuleTrust read() {
    return read_module_trust(root_.dir(), command_line_, [this] {
      ++config_reads_;
      return config_;
    });
  }
  TempDir root_;
  std::vector<std::string> command_line_;
  KernelConfig config_;
  int config_reads_ = 0;
};

TEST_F(ModuleTrustTest, HostThatTellsNothingIsUnknown) {
  const ModuleTrust trust = read();
  EXPECT_FALSE(trust.secure_boot);
  EXPECT_EQ(trust.lockdown, "");
  EXPECT_FALSE(trust.enforced);
  EXPECT_FALSE(trust.keys_are_known);
  EXPECT_TRUE(trust.keys.empty());
  EXPECT_FALSE(trust.wants_signatures());
}

TEST_F(ModuleTrustTest, SecureBootIsTheFifthByteOfTheVariable) {
  write_file(root_ / kEfiFolder, std::string("\x06\0\0\0\x01", 5));
  EXPECT_EQ(read().secure_boot, true);
  write_file(root_ / kEfiFolder, std::string("\x06\0\0\0\0", 5));
  EXPECT_EQ(read().secure_boot, false);
  for (const std::string& damaged : {std::string("\x06\0\0\0", 4), std::string("\x06\0\0\0\x02", 5),
                                     std::string("\x06\0\0\0\x01\0", 6), std::string(), std::string(100, '\1')}) {
    write_file(root_ / kEfiFolder, damaged);
    EXPECT_FALSE(read().secure_boot);
  }
}

TEST_F(ModuleTrustTest, LockdownIsTheWordInBrackets) {
  for (const auto& [text, level] : {std::pair("[none] integrity confidentiality\n", "none"),
                                    {"none [integrity] confidentiality\n", "integrity"},
                                    {"none integrity [confidentiality]\n", "confidentiality"},
                                    {"none integrity confidentiality\n", ""},
                                    {"[other]\n", ""},
                                    {"", ""}}) {
    write_file(root_ / "sys/kernel/security/lockdown", text);
    const ModuleTrust trust = read();
    EXPECT_EQ(trust.lockdown, level);
    EXPECT_EQ(trust.wants_signatures(), std::string_view(level).size() > 4);
  }
}

TEST_F(ModuleTrustTest, EnforcementIsWhatTheKernelsParameterSays) {
  command_line_ = {"module.sig_enforce=1"};
  write_file(root_ / "sys/module/module/parameters/sig_enforce", "N\n");
  EXPECT_EQ(read().enforced, false);
  write_file(root_ / "sys/module/module/parameters/sig_enforce", "Y\n");
  EXPECT_EQ(read().enforced, true);
  EXPECT_TRUE(read().wants_signatures());
  EXPECT_EQ(config_reads_, 0);
  write_file(root_ / "sys/module/module/parameters/sig_enforce", "?\n");
  command_line_ = {};
  EXPECT_FALSE(read().enforced);
}

TEST_F(ModuleTrustTest, WithoutTheParameterTheCommandLineAndTheConfigurationTell) {
  for (const char* word :
       {"module.sig_enforce", "module.sig_enforce=1", "module.sig_enforce=y", "module.sig_enforce=on"}) {
    command_line_ = {"quiet", word};
    EXPECT_EQ(read().enforced, true) << word;
  }
  EXPECT_EQ(config_reads_, 0);
  for (const char* word :
       {"module.sig_enforce=0", "module.sig_enforced=1", "xmodule.sig_enforce=1", "module.sig_enforce="}) {
    command_line_ = {word};
    EXPECT_FALSE(read().enforced) << word;
  }
  config_ = {{"CONFIG_MODULE_SIG", "y"}};
  EXPECT_EQ(read().enforced, false);
  config_ = {{"CONFIG_MODULE_SIG_FORCE", "y"}};
  EXPECT_EQ(read().enforced, true);
}

TEST_F(ModuleTrustTest, KeysAreThoseOfTheKernel) {
  write_file(root_ / "proc/keys", kKeyring + key_line("a: 1234: X509.rsa 1234 []"));
  const ModuleTrust trust = read();
  EXPECT_TRUE(trust.keys_are_known);
  ASSERT_EQ(trust.keys.size(), 1U);
  EXPECT_EQ(trust.keys[0].id, "1234");
}

}  // namespace
}  // namespace driverext
