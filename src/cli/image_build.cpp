// driverext image build: kernel modules and a manifest in, an extension image out.
#include <getopt.h>

#include <array>
#include <charconv>
#include <cstdio>

#include "acquire/pack.hpp"
#include "base/text.hpp"
#include "cli/verb.hpp"
#include "sysext/image_builder.hpp"

namespace driverext::cli {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

constexpr const char* kHelp =
    "Usage: driverext image build --manifest=FILE [OPTION...] OUTPUT\n"
    "Make an extension image (a Discoverable Disk Image with squashfs, dm-verity and signature).\n"
    "\n"
    "      --kind=KIND          modules (default): kernel modules for one kernel\n"
    "                           complete: the same, with the driver's libraries and programs\n"
    "                           source: a Kbuild tree to build modules from on the node\n"
    "                           builder: a root file system with compiler and kernel headers\n"
    "      --modules=DIR        modules, complete: directory with the *.ko files, all for one kernel\n"
    "      --tree=DIR           complete: directory that holds usr/; source: the Kbuild tree;\n"
    "                           builder: the root file system\n"
    "      --manifest=FILE      JSON: driver, version, os {id, versionId}, license;\n"
    "                           what the modules themselves tell is filled in\n"
    "      --key=FILE           sign with this private key (PEM) ...\n"
    "      --certificate=FILE   ... and its certificate; without both the image stays unsigned\n"
    "      --level=N            zstd level, 1 to 22 (default 15)\n"
    "  -h, --help               show this help\n"
    "\n"
    "SOURCE_DATE_EPOCH sets the creation time; without it the newest module's time is taken, so\n"
    "that the same input gives the same image.\n";

struct Options {
  Kind kind = Kind::modules;
  std::string modules;
  std::string tree;
  std::string manifest;
  std::string key;
  std::string certificate;
  int level = 15;
  std::string output;
};

Result<PackResult> collect(const Options& options) {
  TRY(const std::string text, read_argument_file(options.manifest, kMaxManifestSize));
  PackInput input;
  TRY(input.manifest, parse_manifest_input(text).with_context(options.manifest));
  input.kind = options.kind;
  input.modules = options.modules;
  input.tree = options.tree;
  input.output = options.output;
  TRY(PackResult packed, collect_image(input));
  packed.request.zstd_level = options.level;
  return packed;
}

Result<int> build(const Options& options) {
  TRY(PackResult packed, collect(options));
  BuildRequest& request = packed.request;
  for (const std::string& warning : packed.warnings) {
    std::fprintf(stderr, "driverext: warning: %s\n", printable(warning).c_str());
  }
  std::optional<SigningKey> key;
  if (!options.key.empty()) {
    TRY(const std::string key_pem, read_argument_file(options.key, kMaxPem));
    TRY(const std::string certificate_pem, read_argument_file(options.certificate, kMaxPem));
    TRY(key, SigningKey::from_pem(key_pem, certificate_pem));
    request.key = &*key;
  }
  request.progress = [](const BuildProgress& now) {
    if (now.total == 0) std::fprintf(stderr, "%s\n", std::string(now.stage).c_str());
  };
  TRY(const BuiltImage built, build_image(request));
  std::printf("%s  %s %s for %s, %s%s\n", to_hex(built.root_hash).c_str(), request.manifest.driver.c_str(),
              request.manifest.version.c_str(), request.manifest.kernel_release.c_str(), human_size(built.size).c_str(),
              request.key != nullptr ? "" : ", unsigned");
  return 0;
}

}  // namespace

int image_build(int argc, char** argv) {
  Options options;
  enum : int { kKind = 256, kModules, kTree, kManifest, kKey, kCertificate, kLevel };
  static constexpr std::array kOptions = {
      option{"kind", required_argument, nullptr, kKind},
      option{"tree", required_argument, nullptr, kTree},
      option{"modules", required_argument, nullptr, kModules},
      option{"manifest", required_argument, nullptr, kManifest},
      option{"key", required_argument, nullptr, kKey},
      option{"certificate", required_argument, nullptr, kCertificate},
      option{"level", required_argument, nullptr, kLevel},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kKind: {
        const Result<Kind> kind = kind_of_name(optarg);
        if (!kind) return usage_error("--kind takes modules, complete, source or builder");
        options.kind = *kind;
        break;
      }
      case kModules:
        options.modules = optarg;
        break;
      case kTree:
        options.tree = optarg;
        break;
      case kManifest:
        options.manifest = optarg;
        break;
      case kKey:
        options.key = optarg;
        break;
      case kCertificate:
        options.certificate = optarg;
        break;
      case kLevel: {
        const std::string_view text = optarg;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), options.level);
        if (code != std::errc() || end != text.data() + text.size() || options.level < 1 || options.level > 22) {
          return usage_error("--level takes a number from 1 to 22");
        }
        break;
      }
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind + 1 != argc) return usage_error("name exactly one output file");
  options.output = argv[optind];
  if (options.manifest.empty()) return usage_error("--manifest is needed");
  const bool with_modules = options.kind == Kind::modules || options.kind == Kind::complete;
  const bool with_tree = options.kind != Kind::modules;
  const std::string kind(kind_name(options.kind));
  if (with_modules && options.modules.empty()) return usage_error("--kind=" + kind + " needs --modules");
  if (with_tree && options.tree.empty()) return usage_error("--kind=" + kind + " needs --tree");
  if (!with_modules && !options.modules.empty()) return usage_error("--kind=" + kind + " takes no --modules");
  if (!with_tree && !options.tree.empty()) return usage_error("--kind=" + kind + " takes no --tree");
  if (options.key.empty() != options.certificate.empty()) return usage_error("--key and --certificate go together");
  const Result<int> code = build(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
