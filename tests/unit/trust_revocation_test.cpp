// Revocation lists beside the trust anchors.
#include <gtest/gtest.h>

#include "crypto/trust_store.hpp"
#include "support/signer.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::CrlRequest;
using test::Identity;
using test::make_cms;
using test::make_crl;
using test::make_identity;
using test::message;
using test::must;
using test::Role;
using test::verdict;

constexpr int64_t kNow = 1'800'000'000;
constexpr const char* kText = "what is signed";

class Revocation : public ::testing::Test {
 protected:
  Revocation()
      : root_(make_identity({.name = "root", .role = Role::authority})),
        middle_(make_identity({.name = "middle", .issuer = &root_, .role = Role::authority})),
        leaf_(make_identity({.name = "leaf", .issuer = &middle_})),
        other_(make_identity({.name = "other leaf", .issuer = &middle_})) {
    must(store_.add_pem(root_.certificate_pem, "root.crt"));
  }

  void add(const CrlRequest& request) { must(store_.add_crl(as_bytes(make_crl(request)), "test.crl")); }
  void require_crl() {
    store_.set_policy(must(parse_trust_policy("[signature]\nrequire-crl = true\n", "policy.toml")));
  }
  Result<TrustStore::SignedContent> check(const Identity& signer, int64_t time = kNow) const {
    return store_.verify_attached(make_cms(kText, {.signers = {&signer}, .other_certificates = {&middle_}}),
                                  [=](ByteSpan) -> Result<int64_t> { return time; });
  }
  [[nodiscard]] std::string outcome(const Identity& signer, int64_t time = kNow) const {
    return verdict(check(signer, time));
  }

  Identity root_, middle_, leaf_, other_;
  TrustStore store_;
};

TEST_F(Revocation, RevokedSignerIsRefusedAndNobodyElse) {
  EXPECT_EQ(outcome(leaf_), "fine");
  add({.issuer = &middle_, .revoked = {&leaf_}});
  EXPECT_EQ(outcome(leaf_), "untrusted/signer-revoked");
  EXPECT_EQ(outcome(other_), "fine");
}

TEST_F(Revocation, RevokedIntermediateRevokesAllBelowIt) {
  add({.issuer = &root_, .revoked = {&middle_}});
  EXPECT_EQ(outcome(leaf_), "untrusted/signer-revoked");
  EXPECT_EQ(outcome(other_), "untrusted/signer-revoked");
  EXPECT_NE(message(check(leaf_)).find("CN=middle"), std::string::npos) << message(check(leaf_));
}

TEST_F(Revocation, DetachedSignaturesAreLookedUpToo) {
  add({.issuer = &root_, .revoked = {&leaf_}});  // the root did not issue it: its list says nothing of the leaf
  const TrustStore& store = store_;
  const auto detached = [&](const Identity& signer) {
    const Bytes cms =
        make_cms(kText, {.signers = {&signer}, .other_certificates = {&middle_}, .content = test::Content::detached});
    return verdict(store.verify_detached(cms, as_bytes(kText), [](ByteSpan) -> Result<int64_t> { return kNow; }));
  };
  EXPECT_EQ(detached(leaf_), "fine");
  add({.issuer = &middle_, .revoked = {&leaf_}});
  EXPECT_EQ(detached(leaf_), "untrusted/signer-revoked");
}

// Revoked is revoked, whatever the date of the list; and a clock that is behind does not unmake a list.
TEST_F(Revocation, RevocationNeverRunsOut) {
  add({.issuer = &middle_, .revoked = {&leaf_}, .issued = 1'000'000'000, .next = 1'000'086'400});
  EXPECT_EQ(outcome(leaf_), "untrusted/signer-revoked");
  EXPECT_EQ(outcome(other_), "fine");  // a list that has run out refuses nobody else
  EXPECT_EQ(outcome(leaf_, 0), "untrusted/signer-revoked");
}

TEST_F(Revocation, EveryListOfTheIssuerCounts) {
  add({.issuer = &middle_, .revoked = {&leaf_}, .issued = 1'000'000'000});
  add({.issuer = &middle_, .issued = 1'500'000'000});
  EXPECT_EQ(outcome(leaf_), "untrusted/signer-revoked");
}

TEST_F(Revocation, RequiredListMustBeThereForEveryIssuedCertificate) {
  require_crl();
  EXPECT_EQ(outcome(leaf_), "untrusted/untrusted-signer");
  add({.issuer = &middle_});
  EXPECT_EQ(outcome(leaf_), "untrusted/untrusted-signer");  // none of the root's for the intermediate
  add({.issuer = &root_});
  EXPECT_EQ(outcome(leaf_), "fine");
}

TEST_F(Revocation, RequiredListMustNotHaveRunOut) {
  require_crl();
  add({.issuer = &root_});
  add({.issuer = &middle_, .issued = kNow - 2000, .next = kNow - 1000});
  EXPECT_EQ(outcome(leaf_, kNow - 1500), "fine");
  EXPECT_EQ(outcome(leaf_, kNow - 3000), "fine");  // the clock is behind the list
  const auto result = check(leaf_);
  EXPECT_EQ(verdict(result), "untrusted/untrusted-signer");
  EXPECT_NE(message(result).find("2027-01-15 08:00 UTC"), std::string::npos) << message(result);
  add({.issuer = &middle_, .issued = kNow - 500, .next = kNow + 500});
  EXPECT_EQ(outcome(leaf_), "fine");
}

TEST_F(Revocation, AnchorItselfNeedsNoList) {
  const Identity alone = make_identity({.name = "alone"});
  must(store_.add_pem(alone.certificate_pem, "alone.crt"));
  require_crl();
  EXPECT_EQ(outcome(alone), "fine");
}

// An anchor can be a leaf whose authority is no anchor: the list is believed for the folder that it lies in.
TEST_F(Revocation, AnchorIsRevokedByTheListOfItsIssuer) {
  TrustStore store;
  must(store.add_pem(leaf_.certificate_pem, "leaf.crt"));
  const Bytes cms = make_cms(kText, {.signers = {&leaf_}});
  const auto at_now = [](ByteSpan) -> Result<int64_t> { return kNow; };
  EXPECT_EQ(verdict(store.verify_attached(cms, at_now)), "fine");
  must(store.add_crl(as_bytes(make_crl({.issuer = &middle_, .revoked = {&leaf_}})), "middle.crl"));
  EXPECT_EQ(verdict(store.verify_attached(cms, at_now)), "untrusted/signer-revoked");
}

TEST_F(Revocation, ListOfAnAuthorityWithTheSameNameButAnotherKeySaysNothing) {
  const Identity namesake = make_identity({.name = "middle", .role = Role::authority});
  add({.issuer = &namesake, .revoked = {&leaf_}});
  EXPECT_EQ(outcome(leaf_), "fine");
  require_crl();
  add({.issuer = &root_});
  EXPECT_EQ(outcome(leaf_), "untrusted/untrusted-signer");  // nor does it stand in for the one that is required
}

// Nothing tells that it is another's: it may be the issuer's own, damaged.
TEST_F(Revocation, ListThatItsIssuerDidNotSignRefusesRatherThanBeingPassedOver) {
  const Identity namesake = make_identity({.name = "middle", .role = Role::authority});
  add({.issuer = &namesake, .key_id = CrlRequest::KeyId::without});
  const auto result = check(leaf_);
  EXPECT_EQ(verdict(result), "untrusted/untrusted-signer");
  EXPECT_NE(message(result).find("damaged"), std::string::npos) << message(result);
}

TEST_F(Revocation, EveryFlippedByteOfAListRefusesOrStillRevokes) {
  const Bytes good = test::crl_der(make_crl({.issuer = &middle_, .revoked = {&leaf_}}));
  int passed = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{0x10};
    TrustStore store;
    must(store.add_pem(root_.certificate_pem, "root.crt"));
    if (!store.add_crl(bad, "bad.crl")) continue;
    const Bytes cms = make_cms(kText, {.signers = {&leaf_}, .other_certificates = {&middle_}});
    const auto result = store.verify_attached(cms, [](ByteSpan) -> Result<int64_t> { return kNow; });
    if (result) ++passed;
  }
  // Where the issuer's name or key id was changed the list is another authority's; everything else is noticed.
  EXPECT_LT(passed, 60);
}

TEST_F(Revocation, PartialListsAreRefusedWhenTheyAreLoaded) {
  const std::string partial = make_crl({.issuer = &middle_, .issuing_distribution_point = "critical,onlyuser:TRUE"});
  const auto result = store_.add_crl(as_bytes(partial), "partial.crl");
  EXPECT_EQ(verdict(result), "invalid_input/config-invalid");
  EXPECT_NE(message(result).find("partial.crl"), std::string::npos) << message(result);
}

TEST_F(Revocation, LoadTakesPemAndDerBesideTheAnchors) {
  const std::string pem = make_crl({.issuer = &middle_, .revoked = {&leaf_}});
  const Bytes der = test::crl_der(pem);
  const std::string two = make_crl({.issuer = &root_}) + pem;
  for (const std::string& file : {pem, std::string(as_text(der)), two}) {
    const test::TempDir scratch;
    test::write_file(scratch / "trust/root.crt", root_.certificate_pem);
    test::write_file(scratch / "trust/middle.crl", file);
    store_ = must(TrustStore::load(scratch.dir(), {"trust"}));
    EXPECT_EQ(outcome(leaf_), "untrusted/signer-revoked");
    EXPECT_EQ(outcome(other_), "fine");
  }
}

TEST_F(Revocation, DamagedListFileIsAnErrorThatNamesIt) {
  const std::string pem = make_crl({.issuer = &middle_, .revoked = {&leaf_}});
  const std::string der(as_text(test::crl_der(pem)));
  for (const std::string& file : {std::string(), std::string("text\n"), pem.substr(0, pem.size() / 2), der + "x",
                                  der.substr(0, der.size() - 1), pem + pem.substr(0, pem.size() / 2)}) {
    const test::TempDir scratch;
    test::write_file(scratch / "trust/bad.crl", file);
    const auto result = TrustStore::load(scratch.dir(), {"trust"});
    EXPECT_EQ(verdict(result), "invalid_input/config-invalid") << file;
    EXPECT_NE(message(result).find("trust/bad.crl"), std::string::npos) << message(result);
  }
}

// The oracle is OpenSSL's own program.
TEST_F(Revocation, OpensslProgramSaysTheSame) {
  const test::TempDir scratch;
  test::write_file(scratch / "root", root_.certificate_pem);
  test::write_file(scratch / "middle", middle_.certificate_pem);
  test::write_file(scratch / "lists",
                   make_crl({.issuer = &middle_, .revoked = {&leaf_}}) + make_crl({.issuer = &root_}));
  add({.issuer = &middle_, .revoked = {&leaf_}});
  for (const Identity* signer : {&leaf_, &other_}) {
    test::write_file(scratch / "leaf", signer->certificate_pem);
    const bool accepted =
        static_cast<bool>(run_program({"openssl", "verify", "-crl_check_all", "-CRLfile", scratch / "lists", "-CAfile",
                                       scratch / "root", "-untrusted", scratch / "middle", scratch / "leaf"}));
    EXPECT_EQ(accepted, outcome(*signer) == "fine");
  }
}

}  // namespace
}  // namespace driverext
