#include "signer.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

#include "verdict.hpp"

namespace driverext::test {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Cms = std::unique_ptr<CMS_ContentInfo, Deleter<CMS_ContentInfo_free>>;

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("cannot make ") + what);
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

Bio reader(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

Key key_of(const Identity& identity) {
  return Key(PEM_read_bio_PrivateKey(reader(identity.key_pem).get(), nullptr, nullptr, nullptr));
}
Certificate certificate_of(const Identity& identity) {
  return Certificate(PEM_read_bio_X509(reader(identity.certificate_pem).get(), nullptr, nullptr, nullptr));
}

const EVP_MD* digest_of(Hash hash) {
  switch (hash) {
    case Hash::sha1:
      return EVP_sha1();
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha384:
      return EVP_sha384();
    case Hash::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

Key make_key(const IdentityRequest& request) {
  switch (request.key_type) {
    case KeyType::ec:
      return Key(EVP_EC_gen(request.curve));
    case KeyType::rsa:
      return Key(EVP_RSA_gen(request.rsa_bits));
    case KeyType::ed25519:
      return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  return nullptr;
}

// Ed25519 has its digest built in.
const EVP_MD* issuing_digest(const EVP_PKEY* key, Hash hash) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : digest_of(hash);
}

using Crl = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;

void add_extension(X509_CRL* list, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, nullptr, nullptr, list, 0);
  const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  require(extension && X509_CRL_add_ext(list, extension.get(), -1) == 1, "an extension of a revocation list");
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "a certificate extension");
}

}  // namespace

SigningKey Identity::signing_key() const { return must(SigningKey::from_pem(key_pem, certificate_pem)); }

Identity make_identity(const IdentityRequest& request) {
  static long serial = 0;
  const Key key = make_key(request);
  const Certificate certificate(X509_new());
  require(key && certificate, "a key");
  X509* raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(raw), static_cast<time_t>(request.valid_from));
  ASN1_TIME_set(X509_getm_notAfter(raw), static_cast<time_t>(request.valid_until));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1, 0);
  X509_set_pubkey(raw, key.get());
  add_extension(raw, NID_basic_constraints, request.role == Role::authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(raw, NID_subject_key_identifier, "hash");
  if (request.key_usage != nullptr) add_extension(raw, NID_key_usage, request.key_usage);
  if (request.extended_key_usage != nullptr) add_extension(raw, NID_ext_key_usage, request.extended_key_usage);
  const Certificate issuer = request.issuer != nullptr ? certificate_of(*request.issuer) : nullptr;
  const Key issuer_key = request.issuer != nullptr ? key_of(*request.issuer) : nullptr;
  EVP_PKEY* by = issuer_key ? issuer_key.get() : key.get();
  X509_set_issuer_name(raw, X509_get_subject_name(issuer ? issuer.get() : raw));
  require(X509_sign(raw, by, issuing_digest(by, request.issued_with)) > 0, "a certificate");
  const Bio key_text(BIO_new(BIO_s_mem()));
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_text.get(), raw);
  return {text_of(key_text.get()), text_of(certificate_text.get())};
}

std::string make_crl(const CrlRequest& request) {
  const Certificate issuer = certificate_of(*request.issuer);
  const Key key = key_of(*request.issuer);
  const Crl list(X509_CRL_new());
  using Time = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME_free>>;
  const Time issued(ASN1_TIME_set(nullptr, static_cast<time_t>(request.issued)));
  const Time next(ASN1_TIME_set(nullptr, static_cast<time_t>(request.next)));
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.get()));
  X509_CRL_set1_lastUpdate(list.get(), issued.get());
  X509_CRL_set1_nextUpdate(list.get(), next.get());
  for (const Identity* identity : request.revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate_of(*identity).get()));
    X509_REVOKED_set_revocationDate(entry, issued.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  X509_CRL_sort(list.get());
  if (request.key_id == CrlRequest::KeyId::with) {
    add_extension(list.get(), issuer.get(), NID_authority_key_identifier, "keyid:always");
  }
  if (request.issuing_distribution_point != nullptr) {
    add_extension(list.get(), issuer.get(), NID_issuing_distribution_point, request.issuing_distribution_point);
  }
  require(X509_CRL_sign(list.get(), key.get(), issuing_digest(key.get(), Hash::sha256)) > 0, "a revocation list");
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(out.get(), list.get());
  return text_of(out.get());
}

Bytes crl_der(const std::string& pem) {
  const Crl list(PEM_read_bio_X509_CRL(reader(pem).get(), nullptr, nullptr, nullptr));
  const Bio out(BIO_new(BIO_s_mem()));
  require(i2d_X509_CRL_bio(out.get(), list.get()) == 1, "DER");
  const std::string der = text_of(out.get());
  const auto view = as_bytes(der);
  return {view.begin(), view.end()};
}

Bytes make_cms(std::string_view content, const CmsRequest& request) {
  unsigned flags = CMS_BINARY | CMS_NOSMIMECAP;
  if (request.content == Content::detached) flags |= CMS_DETACHED;
  const Bio data = reader(content);
  const Cms cms(CMS_sign(nullptr, nullptr, nullptr, data.get(), flags | CMS_PARTIAL));
  require(cms != nullptr, "a CMS");
  for (const Identity* signer : request.signers) {
    const unsigned more = request.with_signer_certificates ? 0U : unsigned{CMS_NOCERTS};
    require(CMS_add1_signer(cms.get(), certificate_of(*signer).get(), key_of(*signer).get(), digest_of(request.hash),
                            flags | more) != nullptr,
            "a signer");
  }
  for (const Identity* other : request.other_certificates) CMS_add1_cert(cms.get(), certificate_of(*other).get());
  require(CMS_final(cms.get(), data.get(), nullptr, flags) == 1, "a signature");
  const Bio out(BIO_new(BIO_s_mem()));
  require(i2d_CMS_bio(out.get(), cms.get()) == 1, "DER");
  const std::string der = text_of(out.get());
  const auto view = as_bytes(der);
  return {view.begin(), view.end()};
}

}  // namespace driverext::test
