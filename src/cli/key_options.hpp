// What the verbs that sign have in common: where the key is, its certificate, and who knows the passphrase.
//
// A verb puts the three options into its getopt_long table, and gives choices that it does not know to take().
#pragma once

#include <getopt.h>

#include <string>

#include "base/result.hpp"
#include "crypto/signing_key.hpp"

namespace driverext::cli {

enum KeyChoice : int { kKeyChoice = 1024, kCertificateChoice, kPassphraseFileChoice };
inline constexpr option kKeyOption{"key", required_argument, nullptr, kKeyChoice};
inline constexpr option kCertificateOption{"certificate", required_argument, nullptr, kCertificateChoice};
inline constexpr option kPassphraseFileOption{"passphrase-file", required_argument, nullptr, kPassphraseFileChoice};

struct KeyOptions {
  std::string key;          ///< file or URI
  std::string certificate;  ///< file
  std::string passphrase_file;

  /// Whether it was one of the options above.
  bool take(int choice, const char* value);
  bool operator==(const KeyOptions&) const = default;
  [[nodiscard]] bool are_complete() const { return !key.empty() && !certificate.empty(); }
};

inline constexpr size_t kMaxPem = size_t{1} << 20;
inline constexpr const char* kKeyNeeded = "--key and --certificate are needed";

/// Opens key and certificate. A passphrase or PIN, if one is needed, comes from --passphrase-file, the environment
/// variable DRIVEREXT_KEY_PASSPHRASE or the terminal, in this order.
Result<SigningKey> load_signing_key(const KeyOptions& options);

/// The first line of a file.
Result<std::string> read_passphrase_file(const std::string& path);

}  // namespace driverext::cli
