#include "crypto/certificate_rules.hpp"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

namespace driverext {
namespace {

using Usages = std::unique_ptr<EXTENDED_KEY_USAGE, openssl::Deleter<EXTENDED_KEY_USAGE_free>>;

constexpr const char* kCodeSigning = "1.3.6.1.5.5.7.3.3";
constexpr const char* kAnyUsage = "2.5.29.37.0";

// NIST's name for what OpenSSL calls by that of SECG.
const char* curve_name(const EVP_PKEY* key) {
  std::array<char, 80> group{};
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1) return nullptr;
  return EC_curve_nid2nist(OBJ_sn2nid(group.data()));
}

std::optional<std::string> broken_key_rule(const KeyRules& rules, X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "its key cannot be read";
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: {
      const int bits = EVP_PKEY_get_bits(key);
      if (!rules.rsa_bits) return "RSA keys are not accepted";
      if (bits >= 0 && static_cast<unsigned>(bits) >= *rules.rsa_bits) return std::nullopt;
      return "its RSA key has " + std::to_string(bits) + " bits; at least " + std::to_string(*rules.rsa_bits) +
             " are accepted";
    }
    case EVP_PKEY_EC: {
      const char* curve = curve_name(key);
      if (curve != nullptr && rules.curves.contains(curve)) return std::nullopt;
      return std::string("EC keys on curve ") + (curve != nullptr ? curve : "of no NIST name") + " are not accepted";
    }
    case EVP_PKEY_ED25519:
      if (rules.ed25519) return std::nullopt;
      return "Ed25519 keys are not accepted";
    default: {
      const char* type = EVP_PKEY_get0_type_name(key);
      return std::string("keys of type ") + (type != nullptr ? type : "unknown") + " are not accepted";
    }
  }
}

// Of the signature on the certificate itself. Ed25519 has its digest built in and is judged as a kind of key.
std::optional<std::string> broken_digest_rule(const CertificateRules& rules, X509* certificate) {
  int digest = NID_undef;
  int key = NID_undef;
  if (X509_get_signature_info(certificate, &digest, &key, nullptr, nullptr) != 1) return "its signature is unknown";
  if (digest == NID_undef && key == NID_ED25519) return std::nullopt;
  const std::optional<std::string> name = digest_name(digest);
  if (name && rules.digests.contains(*name)) return std::nullopt;
  const char* short_name = OBJ_nid2sn(digest);
  return std::string("it was issued with digest ") + (short_name != nullptr ? short_name : "unknown") +
         ", which is not accepted";
}

bool names_usage(const EXTENDED_KEY_USAGE* usages, const std::string& wanted) {
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages); ++i) {
    std::array<char, 128> text{};
    const int size = OBJ_obj2txt(text.data(), text.size(), sk_ASN1_OBJECT_value(usages, i), 1);
    if (size > 0 && wanted == text.data()) return true;
  }
  return false;
}

// What a certificate says it is for. A publisher's need not say anything unless the policy asks it to; but one that was
// issued for something else, a web server say, signs no kernel code even if a trust anchor issued it. The same for who
// issued it: an authority for web servers makes no publishers.
std::optional<std::string> broken_usage_rule(const CertificateRules& rules, const ChainLink& link) {
  int status = 0;
  const Usages usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(link.certificate, NID_ext_key_usage, &status, nullptr)));
  if (!usages && status != -1) return "its extended key usage cannot be read";  // -1: it has none
  const bool must_name = link.is_signer && !rules.extended_key_usage.empty();
  const std::string wanted = rules.extended_key_usage.empty() ? kCodeSigning : rules.extended_key_usage;
  const bool named =
      usages ? names_usage(usages.get(), wanted) || (!must_name && names_usage(usages.get(), kAnyUsage)) : !must_name;
  if (!named) {
    return "its extended key usage does not include " + (wanted == kCodeSigning ? "code signing" : wanted);
  }
  // UINT32_MAX: there is no key usage extension.
  if (link.is_signer && (X509_get_key_usage(link.certificate) & KU_DIGITAL_SIGNATURE) == 0) {
    return "its key usage does not include signatures";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> digest_name(int nid) {
  static constexpr std::array<std::pair<int, const char*>, 3> kNames = {
      {{NID_sha256, "sha256"}, {NID_sha384, "sha384"}, {NID_sha512, "sha512"}}};
  for (const auto& [known, name] : kNames) {
    if (known == nid) return name;
  }
  return std::nullopt;
}

std::optional<std::string> broken_rule(const CertificateRules& rules, const ChainLink& link) {
  if (auto broken = broken_key_rule(rules.keys, link.certificate)) return broken;
  // An anchor is trusted as it is: who issued it and for what is its owner's matter.
  if (!link.is_anchor) {
    if (auto broken = broken_digest_rule(rules, link.certificate)) return broken;
  }
  if (link.is_signer || !link.is_anchor) return broken_usage_rule(rules, link);
  return std::nullopt;
}

}  // namespace driverext
