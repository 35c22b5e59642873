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
  const Key key(request.key_type == KeyType::ec ? EVP_EC_gen("P-256") : EVP_RSA_gen(request.rsa_bits));
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
  const EVP_MD* digest = request.issued_with == Hash::sha1 ? EVP_sha1() : EVP_sha256();
  if (request.issuer != nullptr) {
    const Certificate issuer = certificate_of(*request.issuer);
    X509_set_issuer_name(raw, X509_get_subject_name(issuer.get()));
    require(X509_sign(raw, key_of(*request.issuer).get(), digest) > 0, "a certificate");
  } else {
    X509_set_issuer_name(raw, X509_get_subject_name(raw));
    require(X509_sign(raw, key.get(), digest) > 0, "a certificate");
  }
  const Bio key_text(BIO_new(BIO_s_mem()));
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_text.get(), raw);
  return {text_of(key_text.get()), text_of(certificate_text.get())};
}

Bytes make_cms(std::string_view content, const CmsRequest& request) {
  unsigned flags = CMS_BINARY | CMS_NOSMIMECAP;
  if (request.content == Content::detached) flags |= CMS_DETACHED;
  const Bio data = reader(content);
  const Cms cms(CMS_sign(nullptr, nullptr, nullptr, data.get(), flags | CMS_PARTIAL));
  require(cms != nullptr, "a CMS");
  for (const Identity* signer : request.signers) {
    const unsigned more = request.with_signer_certificates ? 0U : unsigned{CMS_NOCERTS};
    require(CMS_add1_signer(cms.get(), certificate_of(*signer).get(), key_of(*signer).get(),
                            request.hash == Hash::sha1 ? EVP_sha1() : EVP_sha256(), flags | more) != nullptr,
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
