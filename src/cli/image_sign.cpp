// driverext image sign: gives an image its signature, or another one.
#include <fcntl.h>
#include <getopt.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "cli/verb.hpp"
#include "sysext/image_signer.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

constexpr const char* kHelp =
    "Usage: driverext image sign --key=FILE --certificate=FILE [--output=FILE] IMAGE\n"
    "Check all data of an image against its root hash, then sign root hash and manifest.\n"
    "\n"
    "      --key=FILE           private key (PEM)\n"
    "      --certificate=FILE   its certificate (PEM)\n"
    "      --output=FILE        write there instead of replacing IMAGE\n"
    "  -h, --help               show this help\n";

Result<int> sign(const std::string& image, const std::string& output, const std::string& key_file,
                 const std::string& certificate_file) {
  TRY(const std::string key_pem, read_argument_file(key_file, kMaxPem));
  TRY(const std::string certificate_pem, read_argument_file(certificate_file, kMaxPem));
  TRY(const SigningKey key, SigningKey::from_pem(key_pem, certificate_pem));
  UniqueFd fd(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + image);
  TRY(const ImageFile file, ImageFile::open(std::move(fd), image));
  TRY_VOID(sign_image(file, key, output));
  std::printf("%s  signed by certificate %s\n", to_hex(file.signature_block().root_hash).c_str(),
              key.fingerprint().c_str());
  return 0;
}

}  // namespace

int image_sign(int argc, char** argv) {
  std::string key;
  std::string certificate;
  std::string output;
  enum : int { kKey = 256, kCertificate, kOutput };
  static constexpr std::array kOptions = {
      option{"key", required_argument, nullptr, kKey},
      option{"certificate", required_argument, nullptr, kCertificate},
      option{"output", required_argument, nullptr, kOutput},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kKey:
        key = optarg;
        break;
      case kCertificate:
        certificate = optarg;
        break;
      case kOutput:
        output = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind + 1 != argc) return usage_error("name exactly one image");
  if (key.empty() || certificate.empty()) return usage_error("--key and --certificate are needed");
  const std::string image = argv[optind];
  const Result<int> code = sign(image, output.empty() ? image : output, key, certificate);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
