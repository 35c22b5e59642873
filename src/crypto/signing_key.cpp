#include "crypto/signing_key.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

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
