// driverext image keygen: a key to sign with, and the certificate that nodes trust.
#include <getopt.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "base/text.hpp"
#include "channel/signed_index.hpp"
#include "cli/channel_terms.hpp"
#include "cli/key_options.hpp"
#include "cli/verb.hpp"
#include "crypto/key_generation.hpp"
#include "sys/cancellation.hpp"
#include "sys/undo.hpp"

namespace driverext::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kDefaultDays = 3650;
constexpr uint64_t kMaxValidDays = 36500;
constexpr int64_t kSecondsPerDay = 24L * 60 * 60;

constexpr const char* kHelp =
    "Usage: driverext image keygen --key=FILE --certificate=FILE [OPTION...]\n"
    "Make a signing key and its certificate, for images, channels and kernel modules.\n"
    "\n"
    "      --key=FILE           write the private key there (PEM, mode 0600)\n"
    "      --certificate=FILE   write the certificate there (PEM, self-signed)\n"
    "      --passphrase-file=FILE\n"
    "                           encrypt the key with the first line of this file\n"
    "      --name=NAME          common name in the certificate (default: driverext publisher)\n"
    "      --type=TYPE          p256 (default), p384, rsa3072 or rsa4096; for kernel modules take\n"
    "                           RSA, which every kernel verifies\n"
    "      --days=N             how long nodes believe what it signs (default 3650)\n"
    "  -h, --help               show this help\n"
    "\n"
    "Files that are there already are never replaced. docs/signing.md tells where they belong.\n";

// What is written beside what a path names.
struct Place {
  Dir folder;
  std::string name;
};

Result<Place> place_of(const std::string& path) {
  const fs::path file(path);
  const std::string folder = file.parent_path().string();
  TRY(Dir parent, Dir::open_root(folder.empty() ? "." : folder));
  if (!file.has_filename()) return make_error(Errc::invalid_input, path + " names a directory, not a file");
  return Place{std::move(parent), file.filename().string()};
}

Error interrupted() { return make_error(Errc::transient, "interrupted: no key was made"); }

Result<int> make(const KeyOptions& files, KeyRequest request) {
  TRY(const Place key_place, place_of(files.key));
  TRY(const Place certificate_place, place_of(files.certificate));
  if (!files.passphrase_file.empty()) {
    TRY(request.passphrase, read_passphrase_file(files.passphrase_file));
    if (request.passphrase.empty()) return make_error(Errc::invalid_input, "the passphrase is empty");
  }
  // Neither a part of a key is left behind nor one without its certificate.
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  TRY(const GeneratedKey made, generate_key(request));
  if (cancellation.has_come()) return interrupted();
  TRY_VOID(key_place.folder.write_new(key_place.name, made.key_pem, 0600));
  Undo remove_key([&] { (void)key_place.folder.remove_file(key_place.name); });
  if (cancellation.has_come()) return interrupted();
  TRY_VOID(certificate_place.folder.write_new(certificate_place.name, made.certificate_pem, 0644));
  remove_key.commit();
  std::printf("%s  certificate %s, believed until %s\n", made.fingerprint.c_str(), files.certificate.c_str(),
              utc_text(*request.valid_until).c_str());
  std::printf(
      "Keep %s to yourself. Nodes believe what it signs once %s is in their /etc/driverext/trust,\n"
      "and in /etc/verity.d for systemd's own tools.\n",
      files.key.c_str(), files.certificate.c_str());
  return 0;
}

}  // namespace

int image_keygen(int argc, char** argv) {
  KeyOptions files;
  KeyRequest request{.common_name = "driverext publisher"};
  uint64_t days = kDefaultDays;
  enum : int { kName = 256, kType, kDays };
  static constexpr std::array kOptions = {
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"name", required_argument, nullptr, kName},
      option{"type", required_argument, nullptr, kType},
      option{"days", required_argument, nullptr, kDays},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kName:
        request.common_name = optarg;
        break;
      case kType: {
        const Result<KeyType> type = key_type_of_name(optarg);
        if (!type) return usage_error("--type takes p256, p384, rsa3072 or rsa4096");
        request.type = *type;
        break;
      }
      case kDays: {
        const std::optional<uint64_t> number = parse_number(optarg, 1, kMaxValidDays);
        if (!number) return usage_error("--days takes a number from 1 to 36500");
        days = *number;
        break;
      }
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        if (!files.take(choice, optarg)) return usage_error("wrong option");
    }
  }
  if (optind != argc) return usage_error("keygen takes options only");
  if (!files.are_complete()) return usage_error(kKeyNeeded);
  if (is_key_uri(files.key)) return usage_error("--key takes a file here; a token makes its keys itself");
  request.valid_until = static_cast<int64_t>(::time(nullptr)) + static_cast<int64_t>(days) * kSecondsPerDay;
  const Result<int> code = make(files, std::move(request));
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
