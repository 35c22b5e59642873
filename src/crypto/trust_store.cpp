#include "crypto/trust_store.hpp"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/text.hpp"
#include "crypto/certificate_rules.hpp"
#include "crypto/openssl.hpp"
#include "crypto/revocation.hpp"
#include "crypto/trusted_clock.hpp"

namespace driverext {
namespace {

using openssl::last_error;

constexpr size_t kMaxCertificateFile = size_t{1} << 20;
constexpr size_t kMaxRevocationFile = size_t{16} << 20;
constexpr size_t kMaxPolicyFile = size_t{1} << 20;
constexpr size_t kMaxCms = size_t{4} << 20;

// A chain, and what an image brings to build it from. Real ones have two or three certificates.
constexpr int kMaxEmbedded = 16;
constexpr int kMaxChain = 8;

Error bad_signature(const std::string& what) { return make_error(Errc::untrusted, Reason::signature_invalid, what); }

// Exactly one signer, by a digest that is accepted. A second signer would be checked by nobody.
Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo* cms, const CertificateRules& rules) {
  STACK_OF(CMS_SignerInfo)* infos = CMS_get0_SignerInfos(cms);
  const int count = infos == nullptr ? 0 : sk_CMS_SignerInfo_num(infos);
  if (count != 1) {
    return bad_signature("the signature has " + std::to_string(count) + " signers; exactly one is accepted");
  }
  CMS_SignerInfo* info = sk_CMS_SignerInfo_value(infos, 0);
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(info, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, digest);
  const int nid = OBJ_obj2nid(algorithm);
  const std::optional<std::string> accepted = digest_name(nid);
  if (accepted && rules.digests.contains(*accepted)) return info;
  std::string list;
  for (const std::string& known : rules.digests) list += (list.empty() ? "" : ", ") + known;
  const char* name = OBJ_nid2sn(nid);
  return bad_signature(std::string("digest algorithm ") + (name != nullptr ? name : "unknown") +
                       " is not accepted (accepted: " + list + ")");
}

// One that is there but cannot be read, be it a link that leads nowhere, is a damaged one.
Result<TrustPolicy> read_policy(const Dir& root, const std::string& path) {
  Result<std::string> text = root.read_file(path, kMaxPolicyFile);
  if (text) return parse_trust_policy(*text, root.path_of(path));
  text.error().reason = Reason::config_invalid;
  return std::move(text).error();
}

std::string file_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

}  // namespace

struct TrustStore::Anchors {
  struct Anchor {
    openssl::X509Ptr certificate;
    std::string file;
  };

  openssl::Store store{X509_STORE_new()};
  openssl::X509Stack list{sk_X509_new_null()};  // borrowed from those below
  std::vector<Anchor> owned;
  RevocationLists revocations;
  TrustPolicy policy;
  bool has_policy = false;
  int64_t earliest = 0;

  // The signature itself: content and signer's certificate fit together. Says nothing of trust.
  Result<X509*> check_signature(CMS_ContentInfo* cms, BIO* detached_content, BIO* out) const {
    TRY(CMS_SignerInfo * info, only_signer(cms, policy.certificates));
    ERR_clear_error();
    // The anchors go in as candidates too: a signature may come without its certificate.
    constexpr unsigned kFlags = CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY;
    if (CMS_verify(cms, list.get(), nullptr, detached_content, out, kFlags) != 1) {
      const unsigned long code = ERR_peek_error();
      // Reason numbers are each library's own: RSA's "invalid padding" is the same one.
      if (ERR_GET_LIB(code) == ERR_LIB_CMS && ERR_GET_REASON(code) == CMS_R_SIGNER_CERTIFICATE_NOT_FOUND) {
        ERR_clear_error();
        return make_error(Errc::untrusted, Reason::untrusted_signer,
                          "signed by a certificate that is neither in the image nor a trust anchor");
      }
      return bad_signature("the signature does not match: " + last_error());
    }
    X509* certificate = nullptr;
    CMS_SignerInfo_get0_algs(info, nullptr, &certificate, nullptr, nullptr);
    if (certificate == nullptr) return bad_signature("the signature names no signer");
    return certificate;
  }

  Result<Signer> check_chain(X509* certificate, CMS_ContentInfo* cms, int64_t claimed_time) const {
    const int64_t time = std::max(claimed_time, earliest);
    const openssl::OwnedX509Stack embedded(CMS_get1_certs(cms));
    if (embedded && sk_X509_num(embedded.get()) > kMaxEmbedded) {
      return bad_signature("the signature brings " + std::to_string(sk_X509_num(embedded.get())) +
                           " certificates; at most " + std::to_string(kMaxEmbedded) + " are accepted");
    }
    const openssl::StoreContext context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), certificate, embedded.get());
    X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
    // An anchor need not be a self-signed root: a publisher's leaf certificate can be one.
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(time));
    X509_VERIFY_PARAM_set_depth(parameters, kMaxChain);
    // 112 bits of security: RSA from 2048 bits on, no SHA-1 below the anchor.
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    const int verdict = X509_verify_cert(context.get());
    const int error = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    Signer signer{openssl::name_text(X509_get_subject_name(certificate)), openssl::fingerprint(certificate)};
    if (verdict != 1) {
      const bool is_about_time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
      return refusal(signer, "which no trust anchor vouches for",
                     X509_verify_cert_error_string(error) + (is_about_time ? " at " + utc_text(time) : ""));
    }
    STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
    TRY_VOID(check_rules(chain, signer));
    TRY_VOID(check_revocation(chain, signer, time));
    signer.valid_until = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < sk_X509_num(chain); ++i) {
      const int64_t valid_from = openssl::seconds_of(X509_get0_notBefore(sk_X509_value(chain, i)));
      const int64_t valid_until = openssl::seconds_of(X509_get0_notAfter(sk_X509_value(chain, i)));
      signer.valid_from = std::max(signer.valid_from, valid_from);
      signer.valid_until = std::min(signer.valid_until, valid_until);
    }
    return signer;
  }

 private:
  static Error refusal(const Signer& signer, const std::string& what, const std::string& why,
                       Reason reason = Reason::untrusted_signer) {
    return make_error(Errc::untrusted, reason,
                      "signed by \"" + signer.subject + "\" (SHA-256 " + signer.fingerprint.substr(0, 16) + "…), " +
                          what + ": " + why);
  }

  // Nothing about a certificate of the chain speaks against it but what the policy says; `signer` learns its anchors.
  Result<void> check_rules(STACK_OF(X509) * chain, Signer& signer) const {
    for (int i = 0; i < sk_X509_num(chain); ++i) {
      X509* certificate = sk_X509_value(chain, i);
      const ChainLink link{certificate, i == 0, is_anchor(certificate)};
      if (const auto broken = broken_rule(policy.certificates, link)) {
        return refusal(signer, "whom the trust policy refuses", whose(certificate, i) + ": " + *broken);
      }
      // One certificate can be there under several names.
      for (const Anchor& anchor : owned) {
        if (X509_cmp(anchor.certificate.get(), certificate) != 0) continue;
        signer.anchors.push_back({anchor.file, openssl::fingerprint(certificate)});
      }
    }
    return {};
  }

  Result<void> check_revocation(STACK_OF(X509) * chain, const Signer& signer, int64_t time) const {
    const bool required = policy.certificates.crl == CrlRule::required;
    for (int i = 0; i < sk_X509_num(chain) && (required || !revocations.empty()); ++i) {
      X509* certificate = sk_X509_value(chain, i);
      X509* issuer = i + 1 < sk_X509_num(chain) ? sk_X509_value(chain, i + 1) : issuer_of_anchor(certificate);
      const std::string who = whose(certificate, i);
      switch (revocations.ask(certificate, issuer, time)) {
        case RevocationLists::Answer::listed:
          return refusal(signer, "which is revoked", who + " is in the revocation list of its issuer",
                         Reason::signer_revoked);
        case RevocationLists::Answer::damaged:
          return refusal(signer, "which cannot be looked up",
                         "the revocation list of the issuer of " + who + " is damaged or signed by another key");
        case RevocationLists::Answer::uncovered:
          if (!required || is_anchor(certificate)) break;
          return refusal(signer, "which the trust policy wants to look up",
                         "no revocation list that has not run out covers " + who + " at " + utc_text(time));
        case RevocationLists::Answer::not_listed:
          break;
      }
    }
    return {};
  }

  static std::string whose(X509* certificate, int depth) {
    if (depth == 0) return "its certificate";
    return "certificate \"" + openssl::name_text(X509_get_subject_name(certificate)) + "\" above it";
  }

  [[nodiscard]] bool is_anchor(const X509* certificate) const {
    return std::any_of(owned.begin(), owned.end(),
                       [&](const Anchor& anchor) { return X509_cmp(anchor.certificate.get(), certificate) == 0; });
  }

  // nullptr if it is not known: an anchor need not bring the authority that issued it.
  [[nodiscard]] X509* issuer_of_anchor(X509* certificate) const {
    if (X509_check_issued(certificate, certificate) == X509_V_OK) return certificate;
    for (const Anchor& anchor : owned) {
      if (X509_check_issued(anchor.certificate.get(), certificate) == X509_V_OK) return anchor.certificate.get();
    }
    return nullptr;
  }
};

TrustStore::TrustStore() : anchors_(std::make_unique<Anchors>()) {}
TrustStore::~TrustStore() = default;
TrustStore::TrustStore(TrustStore&&) noexcept = default;
TrustStore& TrustStore::operator=(TrustStore&&) noexcept = default;

size_t TrustStore::size() const { return anchors_->owned.size(); }

void TrustStore::set_policy(TrustPolicy policy) {
  anchors_->policy = std::move(policy);
  anchors_->has_policy = true;
}

void TrustStore::add_policy(TrustPolicy policy) {
  if (!anchors_->has_policy) return set_policy(std::move(policy));
  anchors_->policy.inherit(policy);
}

void TrustStore::set_earliest(int64_t time) { anchors_->earliest = time; }

const TrustPolicy& TrustStore::policy() const { return anchors_->policy; }

int64_t TrustStore::judged_time(int64_t claimed) const { return std::max(claimed, anchors_->earliest); }

Result<void> TrustStore::add_pem(std::string_view pem, std::string_view origin) {
  const openssl::Bio text = openssl::reader(as_bytes(pem));
  size_t added = 0;
  while (true) {
    openssl::X509Ptr certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    X509_STORE_add_cert(anchors_->store.get(), certificate.get());
    sk_X509_push(anchors_->list.get(), certificate.get());
    anchors_->owned.push_back({std::move(certificate), file_name(origin)});
    ++added;
  }
  // Running out of PEM blocks is how the loop ends; anything else is a damaged certificate.
  const unsigned long code = ERR_peek_last_error();
  const bool ran_out = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (added == 0 || !ran_out) {
    const std::string why = ran_out ? "no PEM certificate in it" : last_error();
    ERR_clear_error();
    return make_error(Errc::invalid_input, Reason::config_invalid,
                      "trust anchor " + std::string(origin) + " is not a PEM certificate: " + why);
  }
  ERR_clear_error();
  return {};
}

Result<void> TrustStore::add_crl(ByteSpan file, std::string_view origin) {
  return anchors_->revocations.add(file, origin);
}

Result<TrustStore> TrustStore::load(const Dir& root, const std::vector<std::string>& folders) {
  TrustStore store;
  store.set_earliest(earliest_time(root));
  for (const std::string& folder : folders) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      const std::string path = folder + "/" + name;
      if (name.ends_with(".crt")) {
        TRY(const std::string pem, root.read_file(path, kMaxCertificateFile));
        TRY_VOID(store.add_pem(pem, root.path_of(path)));
      } else if (name.ends_with(".crl")) {
        TRY(const std::string list, root.read_file(path, kMaxRevocationFile));
        TRY_VOID(store.add_crl(as_bytes(list), root.path_of(path)));
      } else if (name == kTrustPolicyFile) {
        TRY(TrustPolicy found, read_policy(root, path));
        store.add_policy(std::move(found));
      }
    }
  }
  return store;
}

Result<TrustStore::SignedContent> TrustStore::verify_attached(ByteSpan cms_bytes, const JudgedTime& time) const {
  if (cms_bytes.size() > kMaxCms) return bad_signature("the signed statement is too large");
  const openssl::Bio in = openssl::reader(cms_bytes);
  const openssl::Cms cms(d2i_CMS_bio(in.get(), nullptr));
  if (!cms) return bad_signature("the signed statement is not CMS: " + last_error());
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  TRY(X509 * certificate, anchors_->check_signature(cms.get(), nullptr, out.get()));
  Bytes content = openssl::take_bytes(out.get());
  TRY(const int64_t when, time(content));
  TRY(Signer signer, anchors_->check_chain(certificate, cms.get(), when));
  return SignedContent{std::move(content), std::move(signer)};
}

Result<Signer> TrustStore::verify_detached(ByteSpan cms_bytes, ByteSpan content, const JudgedTime& time) const {
  if (cms_bytes.size() > kMaxCms) return bad_signature("the signature is too large");
  const openssl::Bio in = openssl::reader(cms_bytes);
  const openssl::Cms cms(d2i_CMS_bio(in.get(), nullptr));
  if (!cms) return bad_signature("the root hash signature is not PKCS#7: " + last_error());
  const openssl::Bio data = openssl::reader(content);
  TRY(X509 * certificate, anchors_->check_signature(cms.get(), data.get(), nullptr));
  TRY(const int64_t when, time(content));
  return anchors_->check_chain(certificate, cms.get(), when);
}

}  // namespace driverext
