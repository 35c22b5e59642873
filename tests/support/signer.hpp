// Keys and certificates made at test time, and signatures of the kinds that must be refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/signing_key.hpp"

namespace driverext::test {

/// A private key and its certificate, as PEM.
struct Identity {
  std::string key_pem;
  std::string certificate_pem;

  [[nodiscard]] SigningKey signing_key() const;
};

enum class KeyType { ec, rsa, ed25519 };
enum class Role { leaf, authority };
enum class Hash { sha1, sha256, sha384, sha512 };

struct IdentityRequest {
  std::string name = "driverext test publisher";
  const Identity* issuer = nullptr;  ///< none: self-signed
  int64_t valid_from = 0;            ///< seconds since 1970
  int64_t valid_until = 4'000'000'000;
  Role role = Role::leaf;
  KeyType key_type = KeyType::ec;
  unsigned rsa_bits = 2048;
  const char* curve = "P-256";
  const char* key_usage = nullptr;           ///< as openssl.cnf says it; none: no such extension
  const char* extended_key_usage = nullptr;  ///< the same
  Hash issued_with = Hash::sha256;           ///< digest of the issuer's signature
};

Identity make_identity(const IdentityRequest& request = {});

/// A revocation list of `issuer`.
struct CrlRequest {
  const Identity* issuer = nullptr;
  std::vector<const Identity*> revoked{};
  int64_t issued = 0;  ///< seconds since 1970
  int64_t next = 4'000'000'000;
  /// Whether the list says by which key it is signed.
  enum class KeyId { without, with } key_id = KeyId::with;
  /// As openssl.cnf says it; none: no such extension.
  const char* issuing_distribution_point = nullptr;
};
/// PEM, and its DER.
std::string make_crl(const CrlRequest& request);
Bytes crl_der(const std::string& pem);

enum class Content { attached, detached };

struct CmsRequest {
  std::vector<const Identity*> signers{};
  std::vector<const Identity*> other_certificates{};  ///< put in beside the signers' own
  Hash hash = Hash::sha256;
  Content content = Content::attached;
  bool with_signer_certificates = true;
};

/// A DER CMS of exactly this shape, good or not.
Bytes make_cms(std::string_view content, const CmsRequest& request);

}  // namespace driverext::test
