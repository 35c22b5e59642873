#include "crypto/signing_key.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "crypto/openssl.hpp"

namespace driverext {

struct SigningKey::Parts {
  openssl::Key key;
  openssl::X509Ptr certificate;
};

SigningKey::SigningKey(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_pem(std::string_view key_pem, std::string_view certificate_pem) {
  auto parts = std::make_unique<Parts>();
  const openssl::Bio key_text = openssl::reader(as_bytes(key_pem));
  parts->key.reset(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!parts->key) {
    return make_error(Errc::invalid_input, "the signing key is not a PEM private key: " + openssl::last_error());
  }
  const openssl::Bio certificate_text = openssl::reader(as_bytes(certificate_pem));
  parts->certificate.reset(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  if (!parts->certificate) {
    return make_error(Errc::invalid_input,
                      "the signing certificate is not a PEM certificate: " + openssl::last_error());
  }
  if (X509_check_private_key(parts->certificate.get(), parts->key.get()) != 1) {
    ERR_clear_error();
    return make_error(Errc::invalid_input, "the signing key does not belong to the certificate");
  }
  return SigningKey(std::move(parts));
}

Result<SigningKey::Pem> SigningKey::generate(const std::string& common_name) {
  const auto failed = [] { return make_error(Errc::system, "cannot make a key: " + openssl::last_error()); };
  const openssl::Key key(EVP_EC_gen("P-256"));
  const openssl::X509Ptr certificate(X509_new());
  if (!key || !certificate) return failed();
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
  uint64_t serial = 0;
  bool fine = RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1 &&
              X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1) == 1 &&
              ASN1_TIME_set_string(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
              ASN1_TIME_set_string(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
              X509_set_issuer_name(certificate.get(), name) == 1 && X509_set_pubkey(certificate.get(), key.get()) == 1;
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate.get(), certificate.get(), nullptr, nullptr, 0);
  constexpr std::array<std::pair<int, const char*>, 4> kExtensions = {{{NID_basic_constraints, "critical,CA:FALSE"},
                                                                       {NID_key_usage, "critical,digitalSignature"},
                                                                       {NID_ext_key_usage, "codeSigning"},
                                                                       {NID_subject_key_identifier, "hash"}}};
  for (const auto& [nid, value] : kExtensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    fine = fine && extension != nullptr && X509_add_ext(certificate.get(), extension, -1) == 1;
    X509_EXTENSION_free(extension);
  }
  if (!fine || X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return failed();
  const openssl::Bio key_text(BIO_new(BIO_s_mem()));
  const openssl::Bio certificate_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1) {
    return failed();
  }
  return Pem{std::string(as_text(openssl::take_bytes(key_text.get()))),
             std::string(as_text(openssl::take_bytes(certificate_text.get())))};
}

std::string SigningKey::fingerprint() const { return openssl::fingerprint(parts_->certificate.get()); }

std::string SigningKey::certificate_pem() const {
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), parts_->certificate.get());
  return std::string(as_text(openssl::take_bytes(out.get())));
}

Result<Bytes> SigningKey::sign_detached(ByteSpan content) const {
  const openssl::Bio data = openssl::reader(content);
  const openssl::Pkcs7 signature(PKCS7_sign(parts_->certificate.get(), parts_->key.get(), nullptr, data.get(),
                                            PKCS7_DETACHED | PKCS7_NOATTR | PKCS7_BINARY));
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  if (!signature || i2d_PKCS7_bio(out.get(), signature.get()) != 1) {
    return make_error(Errc::system, "cannot sign: " + openssl::last_error());
  }
  return openssl::take_bytes(out.get());
}

Result<Bytes> SigningKey::sign_attached(ByteSpan content) const {
  const openssl::Bio data = openssl::reader(content);
  constexpr unsigned kFlags = CMS_BINARY | CMS_NOSMIMECAP;
  const openssl::Cms cms(CMS_sign(parts_->certificate.get(), parts_->key.get(), nullptr, data.get(), kFlags));
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  if (!cms || i2d_CMS_bio(out.get(), cms.get()) != 1) {
    return make_error(Errc::system, "cannot sign: " + openssl::last_error());
  }
  return openssl::take_bytes(out.get());
}

}  // namespace driverext
