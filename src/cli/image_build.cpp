// driverext image build: kernel modules and a manifest in, an extension image out.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/text.hpp"
#include "cli/verb.hpp"
#include "crypto/digest.hpp"
#include "modules/load_order.hpp"
#include "modules/module_file.hpp"
#include "sys/dir.hpp"
#include "sysext/architecture.hpp"
#include "sysext/image_builder.hpp"

namespace driverext::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPem = size_t{1} << 20;
constexpr size_t kMaxModule = size_t{1} << 30;

constexpr const char* kHelp =
    "Usage: driverext image build --modules=DIR --manifest=FILE [OPTION...] OUTPUT\n"
    "Make an extension image (a Discoverable Disk Image with squashfs, dm-verity and signature).\n"
    "\n"
    "      --modules=DIR        directory with the *.ko files, all for one kernel\n"
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
  std::string modules;
  std::string manifest;
  std::string key;
  std::string certificate;
  int level = 15;
  std::string output;
};

Result<std::vector<fs::path>> module_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".ko") files.push_back(it->path());
  }
  if (error) return os_failure(error.value(), "cannot list " + folder);
  if (files.empty()) return make_error(Errc::not_found, "there is no *.ko file in " + folder);
  std::sort(files.begin(), files.end());
  return files;
}

Result<uint64_t> creation_time(const std::vector<fs::path>& files) {
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    const std::string_view text = epoch;
    uint64_t seconds = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (code != std::errc() || end != text.data() + text.size()) {
      return make_error(Errc::invalid_input, "SOURCE_DATE_EPOCH is not a number of seconds");
    }
    return seconds;
  }
  uint64_t newest = 0;
  for (const fs::path& file : files) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return os_failure(errno, "cannot look at " + file.string());
    newest = std::max(newest, static_cast<uint64_t>(info.st_mtim.tv_sec));
  }
  return newest;
}

// Adds one module to manifest and file list; all must be for the same kernel.
Result<void> add_module(const fs::path& file, BuildRequest& request) {
  TRY(ModuleInfo info, read_module_file(file.string()));
  Manifest& manifest = request.manifest;
  const Architecture* architecture = architecture_of_machine(info.machine);
  if (architecture == nullptr) return make_error(Errc::unsupported, file.string() + " is for " + info.machine);
  if (manifest.vermagic.empty()) {
    manifest.architecture = architecture->name;
    manifest.vermagic = info.vermagic;
    manifest.kernel_release = info.kernel_release();
    if (manifest.license.empty()) manifest.license = info.license;
  }
  if (info.vermagic != manifest.vermagic || architecture->name != manifest.architecture) {
    return make_error(Errc::invalid_input, file.string() + " is for \"" + info.vermagic +
                                               "\", the modules before it for \"" + manifest.vermagic +
                                               "\"; an image holds modules for one kernel");
  }
  if (info.build_id.empty()) {
    return make_error(Errc::invalid_input, file.string() +
                                               " has no build id, by which it is known once it is loaded; "
                                               "link it with --build-id (Kbuild does)");
  }
  TRY(const std::string bytes, read_argument_file(file.string(), kMaxModule));
  ModuleRecord record;
  record.name = info.name;
  record.path =
      "usr/lib/modules/" + manifest.kernel_release + "/driverext/" + manifest.driver + "/" + file.filename().string();
  record.size = bytes.size();
  record.sha256 = to_hex(sha256(as_bytes(bytes)));
  record.build_id = std::move(info.build_id);
  record.depends = std::move(info.depends);
  request.files.push_back({file.string(), record.path, ""});
  manifest.modules.push_back(std::move(record));
  return {};
}

Result<BuildRequest> collect(const Options& options) {
  TRY(const std::string text, read_argument_file(options.manifest, kMaxManifestSize));
  TRY(ManifestInput input, parse_manifest_input(text).with_context(options.manifest));
  TRY(const std::vector<fs::path> files, module_files(options.modules));
  BuildRequest request;
  request.output = options.output;
  request.zstd_level = options.level;
  Manifest& manifest = request.manifest;
  manifest.driver = std::move(input.driver);
  manifest.version = std::move(input.version);
  manifest.kind = "modules";
  manifest.os_id = std::move(input.os_id);
  manifest.os_version_id = std::move(input.os_version_id);
  manifest.license = std::move(input.license);
  TRY(manifest.created, creation_time(files));
  for (const fs::path& file : files) TRY_VOID(add_module(file, request));

  std::vector<ModuleNode> nodes;
  for (const ModuleRecord& record : manifest.modules) nodes.push_back({record.name, record.depends});
  TRY(const LoadOrder order, order_modules(nodes));  // a circle is better found here than at boot
  (void)order;
  TRY_VOID(parse_manifest(format_manifest(manifest)).with_context("the manifest that would result"));
  return request;
}

Result<int> build(const Options& options) {
  TRY(BuildRequest request, collect(options));
  std::optional<SigningKey> key;
  if (!options.key.empty()) {
    TRY(const std::string key_pem, read_argument_file(options.key, kMaxPem));
    TRY(const std::string certificate_pem, read_argument_file(options.certificate, kMaxPem));
    TRY(key, SigningKey::from_pem(key_pem, certificate_pem));
    request.key = &*key;
  }
  request.progress = [](std::string_view stage) { std::fprintf(stderr, "%s\n", std::string(stage).c_str()); };
  TRY(const BuiltImage built, build_image(request));
  std::printf("%s  %s %s for %s, %s%s\n", to_hex(built.root_hash).c_str(), request.manifest.driver.c_str(),
              request.manifest.version.c_str(), request.manifest.kernel_release.c_str(), human_size(built.size).c_str(),
              request.key != nullptr ? "" : ", unsigned");
  return 0;
}

}  // namespace

int image_build(int argc, char** argv) {
  Options options;
  enum : int { kModules = 256, kManifest, kKey, kCertificate, kLevel };
  static constexpr std::array kOptions = {
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
      case kModules:
        options.modules = optarg;
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
  if (options.modules.empty() || options.manifest.empty()) return usage_error("--modules and --manifest are needed");
  if (options.key.empty() != options.certificate.empty()) return usage_error("--key and --certificate go together");
  const Result<int> code = build(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
