// New signing keys, each with a self-signed certificate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// No Ed25519: neither PKCS#7 as systemd reads it nor the kernel's module signatures have a form for it.
enum class KeyType { p256, p384, rsa3072, rsa4096 };
/// Errors: Errc::invalid_input.
Result<KeyType> key_type_of_name(std::string_view name);

struct KeyRequest {
  std::string common_name;  ///< 1 to 64 bytes, the most that X.509 allows
  KeyType type = KeyType::p256;
  /// Seconds since 1970; none: never expires. It is valid from 1970 on: an image may say that it was made before its
  /// signer was, and a node's clock may be further behind still.
  std::optional<int64_t> valid_until = {};
  std::string passphrase = {};  ///< encrypts the key (AES-256); empty: it is not encrypted
};

struct GeneratedKey {
  std::string key_pem;          ///< PKCS#8
  std::string fingerprint;      ///< SHA-256 of the DER certificate, hex
  std::string certificate_pem;  ///< for signing code, by itself and not as an authority
};

/// Errors: Errc::invalid_input for such a name, Errc::system if OpenSSL cannot.
Result<GeneratedKey> generate_key(const KeyRequest& request);

}  // namespace driverext
