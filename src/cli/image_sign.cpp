// driverext image sign: gives an image its signature, or another one; with a key at hand, or in two halves with a key
// that is elsewhere.
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "cli/key_options.hpp"
#include "cli/verb.hpp"
#include "sys/cancellation.hpp"
#include "sysext/image_signer.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext image sign --key=FILE|URI --certificate=FILE [--output=FILE] IMAGE\n"
    "       driverext image sign --export=DIR IMAGE\n"
    "       driverext image sign --attach=DIR --certificate=FILE [--output=FILE] IMAGE\n"
    "Check all data of an image against its root hash, then sign root hash and manifest.\n"
    "\n"
    "      --key=FILE|URI       private key: PEM file or pkcs11: URI\n"
    "      --certificate=FILE   its certificate (PEM)\n"
    "      --passphrase-file=FILE\n"
    "                           the key's passphrase or PIN (default: ask for it)\n"
    "      --output=FILE        write there instead of replacing IMAGE\n"
    "      --export=DIR         for a key that is elsewhere: write what must be signed, and how\n"
    "      --attach=DIR         the other half: put the signatures in that were made of it\n"
    "  -h, --help               show this help\n"
    "\n"
    "What was signed is verified as nodes do before it replaces anything.\n";

constexpr const char* kRootHashFile = "root-hash";
constexpr const char* kStatementFile = "statement";
constexpr const char* kRootHashSignature = "root-hash.p7s";
constexpr const char* kStatementSignature = "statement.p7m";

// The commands are tested as they stand here.
constexpr const char* kInstructions =
    "Where the key is, run in this directory, with its certificate as publisher.crt:\n"
    "\n"
    "openssl smime -sign -binary -noattr -md sha256 -in root-hash -out root-hash.p7s -outform DER \\\n"
    "  -signer publisher.crt -inkey publisher.key\n"
    "openssl cms -sign -binary -nodetach -nosmimecap -md sha256 -in statement -out statement.p7m -outform DER \\\n"
    "  -signer publisher.crt -inkey publisher.key\n"
    "\n"
    "(With a token: -engine pkcs11 -keyform engine -inkey 'pkcs11:...'.) Bring the two new files back, then run:\n"
    "\n"
    "driverext image sign --attach=DIR --certificate=publisher.crt IMAGE\n";

struct Request {
  KeyOptions key;
  std::string image;
  std::string output;
  std::string export_to;
  std::string attach_from;

  [[nodiscard]] SignedOutput signed_output(const Cancellation& cancellation) const {
    return {.path = output.empty() ? image : output,
            .now = static_cast<int64_t>(::time(nullptr)),
            .cancel_fd = cancellation.fd()};
  }
};

Result<int> sign(const ImageFile& file, const Request& request) {
  TRY(const SigningKey key, load_signing_key(request.key));
  // Not before the key is open: a passphrase may come from what only a signal ends.
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  TRY_VOID(sign_image(file, key, request.signed_output(cancellation)));
  std::printf("%s  signed by certificate %s\n", to_hex(file.signature_block().root_hash).c_str(),
              key.fingerprint().c_str());
  return 0;
}

Result<int> export_input(const ImageFile& file, const std::string& path) {
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  TRY(const SigningInput input, signing_input(file, cancellation.fd()));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return os_failure(errno, "cannot make directory " + path);
  TRY(const Dir folder, Dir::open_root(path));
  // Signatures of what lay here before would be taken for those of this.
  TRY_VOID(folder.remove_file(kRootHashSignature));
  TRY_VOID(folder.remove_file(kStatementSignature));
  TRY_VOID(folder.write_atomic(kRootHashFile, input.root_hash, 0644));
  TRY_VOID(folder.write_atomic(kStatementFile, input.statement, 0644));
  TRY_VOID(folder.write_atomic("README", kInstructions, 0644));
  std::printf("%s\n%s", input.root_hash.c_str(), kInstructions);
  return 0;
}

Result<int> attach(const ImageFile& file, const Request& request) {
  TRY(const std::string certificate, read_argument_file(request.key.certificate, kMaxPem));
  TrustStore signer;
  TRY_VOID(signer.add_pem(certificate, request.key.certificate));
  TRY(const Dir folder, Dir::open_root(request.attach_from));
  TRY(const std::string root_hash, folder.read_file(kRootHashSignature, kMaxSignaturePartition));
  TRY(const std::string statement, folder.read_file(kStatementSignature, kMaxSignaturePartition));
  const auto bytes = [](const std::string& text) {
    const ByteSpan view = as_bytes(text);
    return Bytes(view.begin(), view.end());
  };
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  TRY_VOID(attach_signatures(file, {.root_hash = bytes(root_hash), .statement = bytes(statement)}, signer,
                             request.signed_output(cancellation)));
  std::printf("%s  signatures attached\n", to_hex(file.signature_block().root_hash).c_str());
  return 0;
}

Result<int> run(const Request& request) {
  UniqueFd fd(::open(request.image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + request.image);
  TRY(const ImageFile file, ImageFile::open(std::move(fd), request.image));
  if (!request.export_to.empty()) return export_input(file, request.export_to);
  return request.attach_from.empty() ? sign(file, request) : attach(file, request);
}

}  // namespace

int image_sign(int argc, char** argv) {
  Request request;
  enum : int { kOutput = 256, kExport, kAttach };
  static constexpr std::array kOptions = {
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"output", required_argument, nullptr, kOutput},
      option{"export", required_argument, nullptr, kExport},
      option{"attach", required_argument, nullptr, kAttach},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kOutput:
        request.output = optarg;
        break;
      case kExport:
        request.export_to = optarg;
        break;
      case kAttach:
        request.attach_from = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        if (!request.key.take(choice, optarg)) return usage_error("wrong option");
    }
  }
  if (optind + 1 != argc) return usage_error("name exactly one image");
  request.image = argv[optind];
  const bool exports = !request.export_to.empty();
  const bool attaches = !request.attach_from.empty();
  if (exports && (attaches || !request.output.empty() || !request.key.key.empty())) {
    return usage_error("--export goes without --attach, --key and --output");
  }
  if (attaches && !request.key.key.empty()) return usage_error("--attach goes without --key");
  if (attaches && request.key.certificate.empty()) return usage_error("--attach needs --certificate");
  if (!exports && !attaches && !request.key.are_complete()) {
    return usage_error("--key and --certificate are needed, or --export or --attach");
  }
  const Result<int> code = run(request);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
