// driverext image inspect and image verify: what an image says, and whether it may be believed.
#include <fcntl.h>
#include <getopt.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/text.hpp"
#include "cli/verb.hpp"
#include "sysext/image_signer.hpp"
#include "sysext/verified_image.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

constexpr const char* kInspectHelp =
    "Usage: driverext image inspect [--json=pretty|short|off] IMAGE\n"
    "Show what an image says it is. Nothing is verified: use image verify for that.\n"
    "\n"
    "      --json=pretty|short|off  output for programs\n"
    "  -h, --help                   show this help\n";

constexpr const char* kVerifyHelp =
    "Usage: driverext image verify [--trust=FILE|DIR...] [--json=pretty|short|off] IMAGE\n"
    "Check partition table, signatures, hash tree and every data block of an image.\n"
    "\n"
    "      --trust=PATH             trust anchor: a certificate (PEM) or a directory of *.crt; may be\n"
    "                               given several times. Default: /etc/driverext/trust and\n"
    "                               /usr/lib/driverext/trust\n"
    "      --json=pretty|short|off  output for programs\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit codes: 0 trusted and whole, 65 not.\n";

Result<ImageFile> open_image(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + path);
  return ImageFile::open(std::move(fd), path);
}

// The manifest as it is written, and what only the container tells.
OrderedJson describe(const ImageFile& file, const Manifest& manifest) {
  OrderedJson object = OrderedJson::parse(format_manifest(manifest));
  const auto range = [](ByteRange part) { return OrderedJson{{"offset", part.offset}, {"size", part.size}}; };
  object["size"] = file.size();
  object["rootHash"] = to_hex(file.signature_block().root_hash);
  object["partitions"] = {
      {"root", range(file.data())}, {"root-verity", range(file.hash())}, {"root-verity-sig", range(file.signature())}};
  return object;
}

void print_table(const ImageFile& file, const Manifest& manifest, const std::string& signature) {
  std::printf("%14s: %s %s (%s)\n", "Driver", manifest.driver.c_str(), manifest.version.c_str(),
              std::string(kind_name(manifest.kind)).c_str());
  const auto line = [](const char* label, const std::string& value) {
    if (!value.empty()) std::printf("%14s: %s\n", label, value.c_str());
  };
  line("Kernel", manifest.kernel_release);
  for (const std::string& kernel : manifest.kernels) line("Builds for", kernel);
  line("Vermagic", manifest.vermagic);
  std::printf("%14s: %s %s, %s\n", "OS", manifest.os_id.c_str(), manifest.os_version_id.c_str(),
              manifest.architecture.c_str());
  std::printf("%14s: %s\n", "License", manifest.license.c_str());
  std::printf("%14s: %s\n", "Size", human_size(file.size()).c_str());
  std::printf("%14s: %s\n", "Root hash", to_hex(file.signature_block().root_hash).c_str());
  std::printf("%14s: %s\n", "Signature", signature.c_str());
  for (const ModuleRecord& record : manifest.modules) {
    std::string needs;
    for (const std::string& name : record.depends) needs += (needs.empty() ? ", needs " : " ") + name;
    std::printf("%14s: %s (%s%s)\n", "Module", record.name.c_str(), human_size(record.size).c_str(), needs.c_str());
  }
}

Result<TrustStore> load_anchors(const std::vector<std::string>& paths) {
  TrustStore anchors;
  TRY(const Dir root, Dir::open_root("/"));
  if (paths.empty()) return TrustStore::load(root, kTrustFolders);
  for (const std::string& path : paths) {
    Result<Dir> folder = Dir::open_root(path);
    if (!folder) {
      TRY(const std::string pem, read_argument_file(path, kMaxPem));
      TRY_VOID(anchors.add_pem(pem, path));
      continue;
    }
    TRY(const std::vector<std::string> names, folder->list("."));
    for (const std::string& name : names) {
      if (!name.ends_with(".crt")) continue;
      TRY(const std::string pem, folder->read_file(name, kMaxPem));
      TRY_VOID(anchors.add_pem(pem, folder->path_of(name)));
    }
  }
  return anchors;
}

Result<int> inspect(const std::string& path, JsonMode mode) {
  TRY(const ImageFile file, open_image(path));
  TRY(const std::string text, unverified_manifest_text(file));
  TRY(const Manifest manifest, parse_manifest(text).with_context("manifest"));
  const std::string& fingerprint = file.signature_block().certificate_fingerprint;
  if (mode == JsonMode::off) {
    print_table(file, manifest, fingerprint.empty() ? "none" : "not checked; says certificate " + fingerprint);
    return 0;
  }
  OrderedJson object = describe(file, manifest);
  object["verified"] = false;
  object["certificateFingerprint"] = fingerprint;
  print_json(object, mode);
  return 0;
}

Result<int> verify(const std::string& path, const std::vector<std::string>& trust, JsonMode mode) {
  TRY(const TrustStore anchors, load_anchors(trust));
  TRY(ImageFile file, open_image(path));
  TRY(const VerifiedImage image,
      VerifiedImage::verify(std::move(file), anchors, static_cast<int64_t>(::time(nullptr))));
  TRY_VOID(image.check_all_data());
  if (mode == JsonMode::off) {
    print_table(image.file(), image.manifest(), "trusted, by " + image.signer().subject);
    return 0;
  }
  OrderedJson object = describe(image.file(), image.manifest());
  object["verified"] = true;
  object["signer"] = image.signer().subject;
  object["certificateFingerprint"] = image.signer().fingerprint;
  print_json(object, mode);
  return 0;
}

struct ShowOptions {
  std::vector<std::string> trust;
  JsonMode mode = JsonMode::off;
  std::string image;
};

// The exit code if the command line ends the matter.
std::optional<int> parse(int argc, char** argv, const char* help, bool takes_trust, ShowOptions& options) {
  enum : int { kTrust = 256, kJson };
  const std::array verify_options = {
      option{"json", required_argument, nullptr, kJson},
      option{"help", no_argument, nullptr, 'h'},
      takes_trust ? option{"trust", required_argument, nullptr, kTrust} : option{nullptr, 0, nullptr, 0},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", verify_options.data(), nullptr)) != -1;) {
    switch (choice) {
      case kTrust:
        options.trust.emplace_back(optarg);
        break;
      case kJson: {
        const Result<JsonMode> mode = parse_json_mode(optarg);
        if (!mode) return usage_error(mode.error().message());
        options.mode = *mode;
        break;
      }
      case 'h':
        std::fputs(help, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind + 1 != argc) return usage_error("name exactly one image");
  options.image = argv[optind];
  return std::nullopt;
}

}  // namespace

int image_inspect(int argc, char** argv) {
  ShowOptions options;
  if (const auto code = parse(argc, argv, kInspectHelp, false, options)) return *code;
  const Result<int> code = inspect(options.image, options.mode);
  return code ? *code : fail(code.error());
}

int image_verify(int argc, char** argv) {
  ShowOptions options;
  if (const auto code = parse(argc, argv, kVerifyHelp, true, options)) return *code;
  const Result<int> code = verify(options.image, options.trust, options.mode);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
