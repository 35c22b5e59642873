#include "crypto/key_generation.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "crypto/openssl.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxCommonName = 64;  // ub-common-name of RFC 5280

Error failed() { return make_error(Errc::system, "cannot make a key: " + openssl::last_error()); }

openssl::Key make_key(KeyType type) {
  switch (type) {
    case KeyType::p256:
      return openssl::Key(EVP_EC_gen("P-256"));
    case KeyType::p384:
      return openssl::Key(EVP_EC_gen("P-384"));
    case KeyType::rsa3072:
      return openssl::Key(EVP_RSA_gen(3072U));
    case KeyType::rsa4096:
      return openssl::Key(EVP_RSA_gen(4096U));
  }
  return {};
}

// The kernel and shim find a certificate by its subject key identifier.
bool add_extensions(X509* certificate) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  constexpr std::array<std::pair<int, const char*>, 5> kExtensions = {{{NID_basic_constraints, "critical,CA:FALSE"},
                                                                       {NID_key_usage, "critical,digitalSignature"},
                                                                       {NID_ext_key_usage, "codeSigning"},
                                                                       {NID_subject_key_identifier, "hash"},
                                                                       {NID_authority_key_identifier, "keyid"}}};
  for (const auto& [nid, value] : kExtensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    if (!added) return false;
  }
  return true;
}

openssl::X509Ptr make_certificate(EVP_PKEY* key, const KeyRequest& request) {
  openssl::X509Ptr certificate(X509_new());
  if (!certificate) return {};
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(request.common_name.c_str());
  uint64_t serial = 0;
  ASN1_TIME* until = X509_getm_notAfter(certificate.get());
  const bool until_set = request.valid_until
                             ? ASN1_TIME_set(until, static_cast<time_t>(*request.valid_until)) != nullptr
                             : ASN1_TIME_set_string(until, "99991231235959Z") == 1;
  const bool fine = until_set && RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1 &&
                    X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1) == 1 &&
                    ASN1_TIME_set_string(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
                    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text,
                                               static_cast<int>(request.common_name.size()), -1, 0) == 1 &&
                    X509_set_issuer_name(certificate.get(), name) == 1 &&
                    X509_set_pubkey(certificate.get(), key) == 1 && add_extensions(certificate.get()) &&
                    X509_sign(certificate.get(), key, EVP_sha256()) != 0;
  if (!fine) return {};
  return certificate;
}

}  // namespace

Result<KeyType> key_type_of_name(std::string_view name) {
  if (name == "p256") return KeyType::p256;
  if (name == "p384") return KeyType::p384;
  if (name == "rsa3072") return KeyType::rsa3072;
  if (name == "rsa4096") return KeyType::rsa4096;
  return make_error(Errc::invalid_input, "a key's type is p256, p384, rsa3072 or rsa4096");
}

Result<GeneratedKey> generate_key(const KeyRequest& request) {
  if (request.common_name.empty() || request.common_name.size() > kMaxCommonName) {
    return make_error(Errc::invalid_input,
                      "a certificate's name has 1 to " + std::to_string(kMaxCommonName) + " characters");
  }
  const openssl::Key key = make_key(request.type);
  if (!key) return failed();
  const openssl::X509Ptr certificate = make_certificate(key.get(), request);
  if (!certificate) return failed();
  const openssl::Bio key_text(BIO_new(BIO_s_mem()));
  const openssl::Bio certificate_text(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = request.passphrase.empty() ? nullptr : EVP_aes_256_cbc();
  const auto* passphrase = reinterpret_cast<const unsigned char*>(request.passphrase.data());
  if (PEM_write_bio_PrivateKey(key_text.get(), key.get(), cipher, cipher != nullptr ? passphrase : nullptr,
                               static_cast<int>(request.passphrase.size()), nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1) {
    return failed();
  }
  return GeneratedKey{std::string(as_text(openssl::take_bytes(key_text.get()))),
                      openssl::fingerprint(certificate.get()),
                      std::string(as_text(openssl::take_bytes(certificate_text.get())))};
}

}  // namespace driverext
