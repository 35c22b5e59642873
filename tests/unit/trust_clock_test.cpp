// Trust on a host: a clock that may be wrong, and the policy in the folders where it belongs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/json.hpp"
#include "crypto/trusted_clock.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::flipped;
using test::must;
using test::sample_bytes;
using test::verdict;

constexpr int64_t kCreated = 1'700'000'000;  // of the sample image

void write_dated(const FakeHost& host, const char* file, int64_t time) {
  host.write(file, "ID=test\n");
  const timespec times[2] = {{time, 0}, {time, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, host.path(file).c_str(), times, 0), 0);
}

void set_os_build(const FakeHost& host, int64_t time) { write_dated(host, "usr/lib/os-release", time); }
void set_timesync(const FakeHost& host, int64_t time) { write_dated(host, "var/lib/systemd/timesync/clock", time); }

TEST(TrustedClock, NothingIsKnownOfABareHost) {
  const FakeHost host;
  EXPECT_EQ(earliest_time(host.root()), 0);
}

TEST(TrustedClock, ItIsLaterThanTheBuildOfTheOsAndThanWhatIsRemembered) {
  const FakeHost host;
  set_os_build(host, 1000);
  EXPECT_EQ(earliest_time(host.root()), 1000);
  must(remember_time(host.root(), 2'000'000'000, 3000));
  EXPECT_EQ(earliest_time(host.root()), 3000);
  set_os_build(host, 4000);
  EXPECT_EQ(earliest_time(host.root()), 4000);
}

// A file touched while the clock was decades ahead, in a /usr that nobody can write to, would end every certificate.
TEST(TrustedClock, BuildDateOfAnotherAgeIsNotBelieved) {
  const FakeHost host;
  constexpr int64_t kEndOf2045 = 2'398'377'599;
  set_os_build(host, kEndOf2045);
  EXPECT_EQ(earliest_time(host.root()), kEndOf2045);
  for (const int64_t built : {kEndOf2045 + 1, int64_t{3'786'912'000}, int64_t{9'000'000'000}}) {
    set_os_build(host, built);
    EXPECT_EQ(earliest_time(host.root()), 0) << built;
  }
  must(remember_time(host.root(), test::kNow, 5000));
  EXPECT_EQ(earliest_time(host.root()), 5000);
}

TEST(TrustedClock, ItIsLaterThanWhatSystemdTimesyncdRemembers) {
  const FakeHost host;
  set_timesync(host, 3000);
  EXPECT_EQ(earliest_time(host.root()), 3000);
  set_os_build(host, 2000);
  EXPECT_EQ(earliest_time(host.root()), 3000);
  set_timesync(host, 9'000'000'000);
  EXPECT_EQ(earliest_time(host.root()), 2000);
}

TEST(TrustedClock, SynchronisedTimeIsRememberedOnceADay) {
  const FakeHost host;
  constexpr int64_t kDay = 86'400;
  must(remember_synchronised(host.root(), test::kNow, ClockState::unsure));
  EXPECT_EQ(earliest_time(host.root()), 0);
  must(remember_synchronised(host.root(), test::kNow, ClockState::synchronised));
  EXPECT_EQ(earliest_time(host.root()), test::kNow);
  for (const int64_t later : {-10 * kDay, int64_t{0}, int64_t{1}, kDay}) {
    must(remember_synchronised(host.root(), test::kNow + later, ClockState::synchronised));
    EXPECT_EQ(earliest_time(host.root()), test::kNow) << later;
  }
  must(remember_synchronised(host.root(), test::kNow + kDay + 1, ClockState::synchronised));
  EXPECT_EQ(earliest_time(host.root()), test::kNow + kDay + 1);
}

TEST(TrustedClock, GoesForwardOnly) {
  const FakeHost host;
  must(remember_time(host.root(), test::kNow, 5000));
  must(remember_time(host.root(), test::kNow, 4000));
  EXPECT_EQ(earliest_time(host.root()), 5000);
  must(remember_time(host.root(), test::kNow, 6000));
  EXPECT_EQ(earliest_time(host.root()), 6000);
}

// Neither a clock that is years ahead nor a publisher's shuts the host out of every certificate.
TEST(TrustedClock, TakesTheEarlierOfClockAndImage) {
  const FakeHost host;
  must(remember_time(host.root(), 9'000'000'000, 5000));
  EXPECT_EQ(earliest_time(host.root()), 5000);
  must(remember_time(host.root(), 6000, UINT64_MAX));
  EXPECT_EQ(earliest_time(host.root()), 6000);
  must(remember_time(host.root(), 0, UINT64_MAX));
  must(remember_time(host.root(), -5, UINT64_MAX));
  EXPECT_EQ(earliest_time(host.root()), 6000);
}

TEST(TrustedClock, DamagedFileIsNoTimeAndIsMended) {
  const FakeHost host;
  for (const std::string& text : {std::string(), std::string("soon\n"), std::string("12x\n"), std::string("-1\n"),
                                  std::string("99999999999999999999\n"), std::string(100, '1')}) {
    host.write(kClockFile, text);
    EXPECT_EQ(earliest_time(host.root()), 0) << text;
    must(remember_time(host.root(), 5000, 5000));
    EXPECT_EQ(earliest_time(host.root()), 5000) << text;
  }
}

TEST(TrustedClock, GoodProvisionIsRememberedOnce) {
  FakeHost host;
  host.know_image(sample_bytes());
  host.drop("sample.raw", sample_bytes());
  ASSERT_EQ(host.provision().reason, Reason::provisioned);
  EXPECT_EQ(earliest_time(host.root()), kCreated);
  const auto before = must(host.root().status(kClockFile));
  ASSERT_EQ(host.provision().reason, Reason::provisioned);
  const auto after = must(host.root().status(kClockFile));
  EXPECT_EQ(before->st_ino, after->st_ino);  // a boot that changes nothing writes nothing
}

TEST(TrustedClock, FailedProvisionIsNotRemembered) {
  FakeHost host;
  host.clock = ClockState::synchronised;
  host.drop("sample.raw", sample_bytes());
  host.write("etc/driverext/trust/publisher.crt", test::stranger().certificate_pem);
  ASSERT_EQ(host.provision().reason, Reason::untrusted_signer);
  EXPECT_EQ(earliest_time(host.root()), 0);
}

class ClockOfAHost : public ::testing::Test {
 protected:
  // Valid for a day around the time that the image was made.
  ClockOfAHost() : brief_(test::make_identity({.valid_from = kCreated - 43'200, .valid_until = kCreated + 43'200})) {
    host_.write("etc/driverext/trust/publisher.crt", brief_.certificate_pem);
    host_.drop("sample.raw", test::build_bytes({.created = kCreated}, &brief_));
  }
  [[nodiscard]] std::string outcome(int64_t now) const {
    LazyTrust trust(host_.root());
    const Inventory inventory = must(take_inventory(host_.root(), trust, now));
    return inventory.rejected.empty() ? "fine" : verdict(inventory.rejected[0].error);
  }
  test::Identity brief_;
  FakeHost host_;
};

TEST_F(ClockOfAHost, ClockInTheYear1970IsNoHindrance) {
  EXPECT_EQ(outcome(0), "fine");
  EXPECT_EQ(outcome(kCreated), "fine");
  EXPECT_EQ(outcome(kCreated + 50'000), "untrusted/untrusted-signer");
}

// An image of somebody else's was provisioned after the certificate had expired, and the clock was right then.
TEST_F(ClockOfAHost, SettingItBackMakesNoExpiredCertificateValid) {
  const test::SampleOptions later{.version = "2.0", .created = kCreated + 1};
  EXPECT_EQ(outcome(kCreated), "fine");
  must(host_.root().remove_file(std::string(kInbox) + "/sample.raw"));
  host_.write("etc/driverext/trust/lasting.crt", test::publisher().certificate_pem);
  host_.know_image(test::kept_bytes(later), later);
  host_.drop("later.raw", test::kept_bytes(later));
  host_.now = kCreated + 200'000;
  host_.clock = ClockState::synchronised;
  ASSERT_EQ(host_.provision().reason, Reason::provisioned);
  host_.drop("sample.raw", test::build_bytes({.created = kCreated}, &brief_));
  for (const int64_t now : {int64_t{0}, kCreated, kCreated + 200'000}) {
    EXPECT_EQ(outcome(now), "untrusted/untrusted-signer") << now;
  }
}

// Nothing has to go well for this one: it is systemd's.
TEST_F(ClockOfAHost, SettingItBackDoesNotHelpWhereTimesyncdHasSeenItExpire) {
  EXPECT_EQ(outcome(kCreated), "fine");
  set_timesync(host_, kCreated + 50'000);
  for (const int64_t now : {int64_t{0}, kCreated, kCreated + 50'000}) {
    EXPECT_EQ(outcome(now), "untrusted/untrusted-signer") << now;
  }
}

// Nothing ends well by such a clock, so it leaves no trace.
TEST_F(ClockOfAHost, ClockThatEndsTheCertificateIsNotRememberedEvenIfItIsCalledSynchronised) {
  host_.now = 9'000'000'000;
  host_.clock = ClockState::synchronised;
  EXPECT_EQ(host_.provision().reason, Reason::untrusted_signer);
  EXPECT_EQ(earliest_time(host_.root()), 0);
}

// The certificate is younger than the image. With a good clock it is accepted once, and then without one too.
TEST(TrustedClock, SignerWhoWasGoodOnceIsNotTooYoungForAClockThatIsDead) {
  constexpr int64_t kIssued = kCreated + 1'000'000;
  const test::Identity young = test::make_identity({.valid_from = kIssued});
  const std::string bytes = test::build_bytes({.created = kCreated}, &young);
  FakeHost host;
  host.know_image(bytes);
  host.write("etc/driverext/trust/publisher.crt", young.certificate_pem);
  host.drop("sample.raw", bytes);
  host.now = 0;
  EXPECT_EQ(host.provision().reason, Reason::untrusted_signer);
  host.now = test::kNow;
  ASSERT_EQ(host.provision().reason, Reason::provisioned);
  EXPECT_EQ(earliest_time(host.root()), kIssued);
  host.now = 0;
  EXPECT_EQ(host.provision().reason, Reason::provisioned);
}

TEST_F(ClockOfAHost, WhatWasRememberedCountsToo) {
  must(remember_time(host_.root(), test::kNow, kCreated + 50'000));
  EXPECT_EQ(outcome(kCreated), "untrusted/untrusted-signer");
  // The way out, if the time that was remembered is wrong after all.
  must(host_.root().remove_file(kClockFile));
  EXPECT_EQ(outcome(kCreated), "fine");
}

TEST(TrustOfAHost, DamagedPolicyTrustsNothing) {
  FakeHost host;
  host.know_image(sample_bytes());
  host.drop("sample.raw", sample_bytes());
  host.write("etc/driverext/trust/policy.toml", "unsigned = true\n");
  const Status status = host.provision();
  EXPECT_EQ(status.reason, Reason::config_invalid);
  EXPECT_NE(status.message.find("etc/driverext/trust/policy.toml:1:"), std::string::npos) << status.message;
  EXPECT_TRUE(host.kernel.state().modules.empty());
}

TEST(TrustOfAHost, OnWhoMaySignThePolicyOfTheOsHoldsUntilThatOfTheNodeSaysAnotherThing) {
  FakeHost host;
  host.drop("sample.raw", sample_bytes());
  host.write("usr/lib/driverext/trust/policy.toml", "[driver.testcam]\nanchors = []\n");
  EXPECT_EQ(host.provision().reason, Reason::untrusted_signer);
  host.write("etc/driverext/trust/policy.toml", "[revoked]\nroot-hashes = [\"" + std::string(64, 'a') + "\"]\n");
  EXPECT_EQ(host.provision().reason, Reason::untrusted_signer);
  host.know_image(sample_bytes());
  host.write("etc/driverext/trust/policy.toml", "[driver.testcam]\nanchors = [\"publisher.crt\"]\n");
  EXPECT_EQ(host.provision().reason, Reason::provisioned);
}

TEST(TrustOfAHost, WhatTheOsRevokesStaysRevokedBesideAPolicyOfTheNode) {
  const std::string root_hash = test::signature_of(sample_bytes())["rootHash"];
  FakeHost host;
  host.drop("sample.raw", sample_bytes());
  host.write("etc/driverext/trust/policy.toml", "[driver.testcam]\nminimum-version = \"1\"\n");
  host.write("usr/lib/driverext/trust/policy.toml", "[driver.testcam]\nminimum-version = \"2\"\n");
  EXPECT_EQ(host.provision().reason, Reason::version_too_old);
  host.write("usr/lib/driverext/trust/policy.toml", "[revoked]\nroot-hashes = [\"" + root_hash + "\"]\n");
  EXPECT_EQ(host.provision().reason, Reason::image_revoked);
}

TEST(TrustOfAHost, ImageInTheStoreIsRefusedOnceItIsRevoked) {
  FakeHost host;
  host.know_image(sample_bytes());
  host.drop("sample.raw", sample_bytes());
  ASSERT_EQ(host.provision().reason, Reason::provisioned);
  const std::string root_hash = test::signature_of(sample_bytes())["rootHash"];
  host.write("etc/driverext/trust/policy.toml", "[revoked]\nroot-hashes = [\"" + root_hash + "\"]\n");
  EXPECT_EQ(host.provision().reason, Reason::image_revoked);
}

TEST(TrustOfAHost, FullPrecheckFindsADamagedBlockBeforeAnythingIsAttached) {
  const uint64_t data = test::partitions_of(sample_bytes())[0].offset;
  const std::string damaged = flipped(sample_bytes(), data + 4096);
  FakeHost host;
  host.know_image(sample_bytes());
  host.drop("sample.raw", damaged);
  host.write("etc/driverext/trust/policy.toml", "precheck = \"full\"\n");
  const Status status = host.provision();
  EXPECT_EQ(status.reason, Reason::data_corrupt);
  EXPECT_EQ(host.progress.begun.back(), "verify");
  EXPECT_EQ(host.kernel.calls(), std::vector<std::string>());
}

TEST(TrustOfAHost, NodesOwnKeyIsBoundByTheRulesOnImages) {
  const SigningKey::Pem pem = must(SigningKey::generate("driverext node key"));
  const test::Identity node{pem.key, pem.certificate};
  const FakeHost host;
  host.write(std::string(kNodeKeys) + "/node.crt", pem.certificate);
  host.write(std::string(kStore) + "/x/testcam.raw", test::build_bytes({.version = "1.5"}, &node));
  const auto outcome = [&](const std::string& policy) {
    host.write("etc/driverext/trust/policy.toml", policy);
    LazyTrust trust(host.root());
    const Inventory inventory = must(take_inventory(host.root(), trust, test::kNow));
    return inventory.rejected.empty() ? "fine" : verdict(inventory.rejected[0].error);
  };
  EXPECT_EQ(outcome(""), "fine");
  EXPECT_EQ(outcome("[keys]\nrsa = 4096\n[signature]\nrequire-crl = true\n[driver.testcam]\nanchors = []\n"), "fine");
  EXPECT_EQ(outcome("[driver.testcam]\nminimum-version = \"2\"\n"), "untrusted/version-too-old");
}

}  // namespace
}  // namespace driverext
