// driverext modules sign: kernel module signatures.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <span>
#include <vector>

#include "base/text.hpp"
#include "cli/key_options.hpp"
#include "cli/verb.hpp"
#include "modules/module_signature.hpp"
#include "sys/cancellation.hpp"

namespace driverext::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp =
    "Usage: driverext modules sign --key=FILE|URI --certificate=FILE [OPTION...] FILE.ko|DIR...\n"
    "Append signatures to kernel modules, as the kernel's scripts/sign-file does, for kernels that\n"
    "load no others (Secure Boot, lockdown). Sign them before they go into an image.\n"
    "\n"
    "      --key=FILE|URI       private key: PEM file or pkcs11: URI\n"
    "      --certificate=FILE   its certificate (PEM); the kernel must have it in a keyring\n"
    "      --passphrase-file=FILE\n"
    "                           the key's passphrase or PIN (default: ask for it)\n"
    "      --hash=HASH          sha256 (default) or sha512\n"
    "      --replace            take the signatures away that modules have already\n"
    "  -h, --help               show this help\n"
    "\n"
    "Of a directory every *.ko below it is signed. All are looked at first: if one cannot be signed,\n"
    "none is.\n";

bool is_module_name(const std::string& name) {
  return name.ends_with(".ko") || name.ends_with(".ko.xz") || name.ends_with(".ko.zst") || name.ends_with(".ko.gz");
}

// Files below a directory in a fixed order. Compressed ones are named too: they are refused later, and not left
// unsigned in silence. Links are not followed; what they lead to is signed under its own name, or is somebody else's.
Result<std::vector<std::string>> modules_below(const std::string& path) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->symlink_status(error).type() == fs::file_type::regular && is_module_name(it->path().string())) {
      found.push_back(it->path().string());
    }
  }
  if (error) return os_failure(error.value(), "cannot look through " + path);
  if (found.empty()) return make_error(Errc::not_found, "there is no kernel module (*.ko) in " + path);
  std::sort(found.begin(), found.end());
  return found;
}

struct Request {
  KeyOptions key;
  SignatureHash hash = SignatureHash::sha256;
  SignedBefore before = SignedBefore::refuse;
};

Result<int> sign(const Request& request, std::span<char*> arguments) {
  std::vector<std::string> files;
  for (const char* argument : arguments) {
    std::error_code ignored;
    if (!fs::is_directory(argument, ignored)) {
      files.emplace_back(argument);
      continue;
    }
    TRY(const std::vector<std::string> below, modules_below(argument));
    files.insert(files.end(), below.begin(), below.end());
  }
  for (const std::string& file : files) TRY_VOID(check_module_can_be_signed(file, request.before));
  TRY(const SigningKey key, load_signing_key(request.key));
  // Not before the key is open: a passphrase may come from what only a signal ends.
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  for (const std::string& file : files) {
    if (cancellation.has_come()) {
      return make_error(Errc::transient, "interrupted: " + file + " and what comes after it is not signed");
    }
    TRY(const ModuleSignature made, sign_module_file(file, key, request.hash, request.before));
    std::printf("%s  signed by %s, key %s, %s\n", printable(file).c_str(), printable(made.signer).c_str(),
                made.key_id.c_str(), made.hash.c_str());
  }
  return 0;
}

}  // namespace

int modules_sign(int argc, char** argv) {
  Request request;
  enum : int { kHash = 256, kReplace };
  static constexpr std::array kOptions = {
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"hash", required_argument, nullptr, kHash},
      option{"replace", no_argument, nullptr, kReplace},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kHash:
        if (std::string_view(optarg) != "sha256" && std::string_view(optarg) != "sha512") {
          return usage_error("--hash takes sha256 or sha512");
        }
        request.hash = std::string_view(optarg) == "sha512" ? SignatureHash::sha512 : SignatureHash::sha256;
        break;
      case kReplace:
        request.before = SignedBefore::replace;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        if (!request.key.take(choice, optarg)) return usage_error("wrong option");
    }
  }
  if (optind >= argc) return usage_error("name at least one module or directory");
  if (!request.key.are_complete()) return usage_error(kKeyNeeded);
  const std::span arguments(argv, static_cast<size_t>(argc));
  const Result<int> code = sign(request, arguments.subspan(static_cast<size_t>(optind)));
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
