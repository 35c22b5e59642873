#include "crypto/trust_store.hpp"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "crypto/openssl.hpp"

namespace driverext {
namespace {

using openssl::last_error;

constexpr size_t kMaxCertificateFile = size_t{1} << 20;
constexpr size_t kMaxCms = size_t{4} << 20;

std::string subject_of(const X509* certificate) {
  const openssl::Bio memory(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(memory.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  return std::string(as_text(openssl::take_bytes(memory.get())));
}

Signer describe(X509* certificate) { return {subject_of(certificate), openssl::fingerprint(certificate)}; }

// What a certificate says it is for. A publisher's need not say anything; but one that was issued for something else, a
// web server say, signs no kernel code even if a trust anchor issued it.
const char* wrong_purpose(X509* certificate) {
  if ((X509_get_extension_flags(certificate) & EXFLAG_XKUSAGE) != 0 &&
      (X509_get_extended_key_usage(certificate) & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0) {
    return "its extended key usage does not include code signing";
  }
  // UINT32_MAX: there is no key usage extension.
  if ((X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) == 0) return "its key usage does not include signatures";
  return nullptr;
}

Error bad_signature(const std::string& what) { return make_error(Errc::untrusted, Reason::signature_invalid, what); }

// Exactly one signer, by a digest that is not broken. A second signer would be checked by nobody.
Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo* cms) {
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
  if (nid != NID_sha256 && nid != NID_sha384 && nid != NID_sha512) {
    const char* name = OBJ_nid2sn(nid);
    return bad_signature(std::string("digest algorithm ") + (name != nullptr ? name : "unknown") +
                         " is not accepted (sha256, sha384, sha512 are)");
  }
  return info;
}

}  // namespace

struct TrustStore::Anchors {
  openssl::Store store{X509_STORE_new()};
  openssl::X509Stack list{sk_X509_new_null()};  // borrowed from `store`'s reference below
  std::vector<openssl::X509Ptr> owned;

  // The signature itself: content and signer's certificate fit together. Says nothing of trust.
  Result<X509*> check_signature(CMS_ContentInfo* cms, BIO* detached_content, BIO* out) const {
    TRY(CMS_SignerInfo * info, only_signer(cms));
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

  Result<Signer> check_chain(X509* certificate, CMS_ContentInfo* cms, int64_t time) const {
    const openssl::StoreContext context(X509_STORE_CTX_new());
    STACK_OF(X509)* embedded = CMS_get1_certs(cms);
    X509_STORE_CTX_init(context.get(), store.get(), certificate, embedded);
    X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
    // An anchor need not be a self-signed root: a publisher's leaf certificate can be one.
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(time));
    // 112 bits of security: RSA from 2048 bits on, no SHA-1 below the anchor.
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    const int verdict = X509_verify_cert(context.get());
    const int error = X509_STORE_CTX_get_error(context.get());
    sk_X509_pop_free(embedded, X509_free);
    ERR_clear_error();
    Signer signer = describe(certificate);
    const char* misuse = verdict == 1 ? wrong_purpose(certificate) : nullptr;
    if (verdict == 1 && misuse == nullptr) return signer;
    return make_error(Errc::untrusted, Reason::untrusted_signer,
                      "signed by \"" + signer.subject + "\" (SHA-256 " + signer.fingerprint.substr(0, 16) +
                          "…), which no trust anchor vouches for: " +
                          (misuse != nullptr ? misuse : X509_verify_cert_error_string(error)));
  }
};

TrustStore::TrustStore() : anchors_(std::make_unique<Anchors>()) {}
TrustStore::~TrustStore() = default;
TrustStore::TrustStore(TrustStore&&) noexcept = default;
TrustStore& TrustStore::operator=(TrustStore&&) noexcept = default;

size_t TrustStore::size() const { return anchors_->owned.size(); }

Result<void> TrustStore::add_pem(std::string_view pem, std::string_view origin) {
  const openssl::Bio text = openssl::reader(as_bytes(pem));
  size_t added = 0;
  while (true) {
    openssl::X509Ptr certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    X509_STORE_add_cert(anchors_->store.get(), certificate.get());
    sk_X509_push(anchors_->list.get(), certificate.get());
    anchors_->owned.push_back(std::move(certificate));
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

Result<TrustStore> TrustStore::load(const Dir& root, const std::vector<std::string>& folders) {
  TrustStore store;
  for (const std::string& folder : folders) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (!name.ends_with(".crt")) continue;
      const std::string path = folder + "/" + name;
      TRY(const std::string pem, root.read_file(path, kMaxCertificateFile));
      TRY_VOID(store.add_pem(pem, root.path_of(path)));
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
