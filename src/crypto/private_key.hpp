// Opening private keys. Included by the source files of this folder only.
#pragma once

#include <openssl/types.h>
#include <openssl/ui.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/key_source.hpp"
#include "crypto/openssl.hpp"

namespace driverext::openssl {

/// Who is asked for a passphrase or PIN, and what came of it.
struct SecretDialog {
  decltype(KeySource::secret) ask;
  std::string prompt;
  std::optional<std::string> answer;
  bool opened = false;  ///< the answer was right, if one was needed
  std::optional<Error> failure;
};

void free_engine(ENGINE* engine);

/// A key with what it needs as long as it is used: a token may want its PIN again for a signature, and an engine's keys
/// are gone with the engine. Members are destroyed last first.
struct PrivateKey {
  std::unique_ptr<SecretDialog> dialog;
  std::unique_ptr<UI_METHOD, Deleter<UI_destroy_method>> ui;
  std::unique_ptr<ENGINE, Deleter<free_engine>> engine;
  Key key;
};

/// Errors: Errc::invalid_input if it is no PEM private key, or encrypted and `secret` is empty or gives the wrong one.
Result<PrivateKey> read_private_key(std::string_view pem, const decltype(KeySource::secret)& secret);
/// Errors: as above, and Errc::unsupported if OpenSSL serves no such URI here.
Result<PrivateKey> open_private_key(const KeySource& source);

}  // namespace driverext::openssl
