#include "cli/key_options.hpp"

#include <cstdlib>

#include "cli/passphrase.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxPassphraseFile = 4096;
constexpr const char* kEnvironment = "DRIVEREXT_KEY_PASSPHRASE";

Result<std::string> find_secret(const std::string& passphrase_file, const std::string& prompt) {
  if (!passphrase_file.empty()) return read_passphrase_file(passphrase_file);
  if (const char* given = std::getenv(kEnvironment); given != nullptr) return std::string(given);
  Result<std::string> answer = ask_on_terminal(prompt);
  if (answer || answer.error().code != Errc::not_found) return answer;
  return make_error(Errc::invalid_input,
                    "the key wants a passphrase or PIN, and there is no terminal to ask on: give " +
                        std::string("--passphrase-file=FILE or set ") + kEnvironment);
}

}  // namespace

bool KeyOptions::take(int choice, const char* value) {
  switch (choice) {
    case kKeyChoice:
      key = value;
      return true;
    case kCertificateChoice:
      certificate = value;
      return true;
    case kPassphraseFileChoice:
      passphrase_file = value;
      return true;
    default:
      return false;
  }
}

Result<SigningKey> load_signing_key(const KeyOptions& options) {
  TRY(const std::string certificate, read_argument_file(options.certificate, kMaxPem));
  // By value: the key asks again later, if the token does.
  const auto secret = [file = options.passphrase_file](const std::string& prompt) { return find_secret(file, prompt); };
  return SigningKey::open({.location = options.key, .secret = secret}, certificate);
}

Result<std::string> read_passphrase_file(const std::string& path) {
  TRY(const std::string content, read_argument_file(path, kMaxPassphraseFile));
  return content.substr(0, content.find_first_of("\r\n"));
}

}  // namespace driverext::cli
