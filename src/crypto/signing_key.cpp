#include "crypto/signing_key.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

#include "crypto/key_generation.hpp"
#include "crypto/openssl.hpp"
#include "crypto/private_key.hpp"

namespace driverext {

struct SigningKey::Parts {
  openssl::PrivateKey key;
  openssl::X509Ptr certificate;
};

SigningKey::SigningKey(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::with_certificate(std::unique_ptr<Parts> parts, std::string_view certificate_pem) {
  const openssl::Bio certificate_text = openssl::reader(as_bytes(certificate_pem));
  parts->certificate.reset(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  if (!parts->certificate) {
    return make_error(Errc::invalid_input,
                      "the signing certificate is not a PEM certificate: " + openssl::last_error());
  }
  EVP_PKEY* key = parts->key.key.get();
  if (X509_check_private_key(parts->certificate.get(), key) != 1) {
    ERR_clear_error();
    return make_error(Errc::invalid_input, "the signing key does not belong to the certificate");
  }
  // The PKCS#7 that systemd and the kernel verify has no form for any other.
  if (EVP_PKEY_is_a(key, "RSA") != 1 && EVP_PKEY_is_a(key, "EC") != 1) {
    return make_error(Errc::unsupported, "the signing key is neither RSA nor EC: make one with driverext image keygen");
  }
  return SigningKey(std::move(parts));
}

Result<SigningKey> SigningKey::from_pem(std::string_view key_pem, std::string_view certificate_pem) {
  auto parts = std::make_unique<Parts>();
  TRY(parts->key, openssl::read_private_key(key_pem, {}));
  return with_certificate(std::move(parts), certificate_pem);
}

Result<SigningKey> SigningKey::open(const KeySource& source, std::string_view certificate_pem) {
  auto parts = std::make_unique<Parts>();
  TRY(parts->key, openssl::open_private_key(source));
  return with_certificate(std::move(parts), certificate_pem);
}

Result<SigningKey::Pem> SigningKey::generate(const std::string& common_name) {
  TRY(GeneratedKey made, generate_key({.common_name = common_name}));
  return Pem{std::move(made.key_pem), std::move(made.certificate_pem)};
}

std::string SigningKey::fingerprint() const { return openssl::fingerprint(parts_->certificate.get()); }

std::string SigningKey::certificate_pem() const {
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), parts_->certificate.get());
  return std::string(as_text(openssl::take_bytes(out.get())));
}

Result<Bytes> SigningKey::sign_detached(ByteSpan content) const {
  const openssl::Bio data = openssl::reader(content);
  const openssl::Pkcs7 signature(PKCS7_sign(parts_->certificate.get(), parts_->key.key.get(), nullptr, data.get(),
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
  const openssl::Cms cms(CMS_sign(parts_->certificate.get(), parts_->key.key.get(), nullptr, data.get(), kFlags));
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  if (!cms || i2d_CMS_bio(out.get(), cms.get()) != 1) {
    return make_error(Errc::system, "cannot sign: " + openssl::last_error());
  }
  return openssl::take_bytes(out.get());
}

Result<Bytes> SigningKey::sign_bare(ByteSpan content, SignatureHash hash) const {
  const openssl::Bio data = openssl::reader(content);
  constexpr unsigned kFlags = CMS_NOCERTS | CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_NOATTR;
  const EVP_MD* digest = hash == SignatureHash::sha512 ? EVP_sha512() : EVP_sha256();
  // CMS_sign would choose the digest itself.
  const openssl::Cms cms(CMS_sign(nullptr, nullptr, nullptr, nullptr, kFlags | CMS_PARTIAL | CMS_STREAM));
  const openssl::Bio out(BIO_new(BIO_s_mem()));
  if (!cms || CMS_add1_signer(cms.get(), parts_->certificate.get(), parts_->key.key.get(), digest, kFlags) == nullptr ||
      CMS_final(cms.get(), data.get(), nullptr, kFlags) != 1 || i2d_CMS_bio(out.get(), cms.get()) != 1) {
    return make_error(Errc::system, "cannot sign: " + openssl::last_error());
  }
  return openssl::take_bytes(out.get());
}

}  // namespace driverext
