// Where a private key is: a PEM file, or something that OpenSSL reaches by a URI (a PKCS#11 token, a TPM, a key
// service).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

struct KeySource {
  /// A file's path, or a URI: `pkcs11:` (RFC 7512), `org.openssl.engine:ENGINE:KEY`, or any scheme that a provider of
  /// this machine's OpenSSL serves.
  std::string location;
  /// Asked for the passphrase of an encrypted file or the PIN of a token, once, if one is needed. It is given the words
  /// to show to a person.
  std::function<Result<std::string>(const std::string& prompt)> secret;
};

/// Whether a key's location is a URI. A file whose name looks like one is named with "./" before it.
bool is_key_uri(std::string_view location);

/// The location without the PIN that a `pkcs11:` URI may hold: for messages and logs.
std::string without_pin(std::string_view location);

}  // namespace driverext
