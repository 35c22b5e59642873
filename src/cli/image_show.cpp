// driverext image inspect and image verify: what an image says, and whether it may be believed.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <optional>

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/image_arguments.hpp"
#include "cli/verb.hpp"
#include "crypto/signed_content.hpp"
#include "sysext/foreign_image.hpp"
#include "sysext/image_signer.hpp"
#include "sysext/verified_image.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kInspectHelp =
    "Usage: driverext image inspect [--json=pretty|short|off] IMAGE\n"
    "Show what an image says it is. Nothing is verified: use image verify for that.\n"
    "\n"
    "      --json=pretty|short|off  output for programs\n"
    "  -h, --help                   show this help\n";

constexpr const char* kVerifyHelp =
    "Usage: driverext image verify [OPTION...] IMAGE\n"
    "Check partition table, signatures, hash tree and every data block of an image.\n"
    "\n"
    "      --trust=PATH             trust anchor: a certificate (PEM), a revocation list (*.crl), a\n"
    "                               policy (*.toml) or a directory of them; may be given several\n"
    "                               times. Default: /etc/driverext/trust and /usr/lib/driverext/trust\n"
    "      --without-manifest       for an image that another tool made, such as systemd-repart: accept\n"
    "                               that nothing signed says which driver it is. No node provisions it\n"
    "      --json=pretty|short|off  output for programs\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit codes: 0 trusted and whole, 65 not.\n";

constexpr const char* kNoManifest = "none; provision refuses such an image (manifest-missing)";

// A partition's place in the list is the table's; its name, an attacker's to choose, is not what tells it.
const Partition& partition_at(const ImageFile& file, ByteRange range) {
  return *std::find_if(file.partitions().begin(), file.partitions().end(),
                       [&](const Partition& partition) { return partition.offset == range.offset; });
}

OrderedJson describe_partition(const ImageFile& file, ByteRange range) {
  const Partition& partition = partition_at(file, range);
  return {{"offset", range.offset},
          {"size", range.size},
          {"type", guid_to_text(partition.type)},
          {"uuid", guid_to_text(partition.uuid)},
          {"name", partition.name},
          {"readOnly", (partition.attributes & kPartitionReadOnly) != 0}};
}

OrderedJson describe_certificates(const ImageFile& file) {
  OrderedJson list = OrderedJson::array();
  const auto certificates = unverified_certificates(file.signature_block().signature);
  for (const CertificateInfo& info : certificates ? *certificates : std::vector<CertificateInfo>()) {
    list.push_back({{"subject", info.subject},
                    {"issuer", info.issuer},
                    {"fingerprint", info.fingerprint},
                    {"validFrom", info.valid_from},
                    {"validUntil", info.valid_until}});
  }
  return list;
}

// The manifest as it is written, if there is one, and what only the container tells.
OrderedJson describe(const ImageFile& file, const std::optional<Manifest>& manifest) {
  const VeritySuperblock& verity = file.verity();
  OrderedJson object = manifest ? OrderedJson::parse(format_manifest(*manifest)) : OrderedJson::object();
  object["hasManifest"] = manifest.has_value();
  object["size"] = file.size();
  object["rootHash"] = to_hex(file.signature_block().root_hash);
  object["partitions"] = {{"root", describe_partition(file, file.data())},
                          {"root-verity", describe_partition(file, file.hash())},
                          {"root-verity-sig", describe_partition(file, file.signature())}};
  object["verity"] = {{"algorithm", "sha256"},
                      {"hashType", 1},
                      {"dataBlockSize", verity.data_block_size},
                      {"hashBlockSize", verity.hash_block_size},
                      {"dataBlocks", verity.data_blocks},
                      {"salt", to_hex(verity.salt)},
                      {"uuid", guid_to_text(verity.uuid)}};
  object["certificates"] = describe_certificates(file);
  return object;
}

void print_line(const char* label, const std::string& value) {
  if (!value.empty()) std::printf("%14s: %s\n", label, value.c_str());
}

void print_manifest(const Manifest& manifest) {
  const std::string flavor = manifest.flavor.empty() ? "" : ", " + manifest.flavor;
  print_line("Driver",
             manifest.driver + " " + manifest.version + " (" + std::string(kind_name(manifest.kind)) + flavor + ")");
  print_line("Userland", manifest.userland.empty() ? "" : manifest.userland + ", in an image of its own");
  print_line("Kernel", manifest.kernel_release);
  for (const std::string& kernel : manifest.kernels) print_line("Builds for", kernel);
  print_line("Vermagic", manifest.vermagic);
  print_line("OS", manifest.os_id + " " + manifest.os_version_id + ", " + manifest.architecture);
  print_line("License", manifest.license);
  print_line("Created", utc_text(static_cast<int64_t>(manifest.created)));
  print_line("Toolchain", manifest.toolchain);
  for (const std::string& root_hash : manifest.built_from) print_line("Built from", root_hash);
  print_line("Source", manifest.source_sha256.empty() ? "" : "SHA-256 " + manifest.source_sha256);
}

void print_modules(const Manifest& manifest) {
  for (const ModuleRecord& record : manifest.modules) {
    std::string needs;
    for (const std::string& name : record.depends) needs += (needs.empty() ? ", needs " : " ") + name;
    const std::string& key = record.signature_key_id;
    print_line("Module", record.name + " (" + human_size(record.size) + needs +
                             (key.empty() ? "" : ", signed by key " + key) + ")");
  }
}

// What there is besides the manifest; `certificates` too where nobody has said yet who signed.
enum class Certificates { shown, not_shown };

void print_container(const ImageFile& file, const std::string& signature, Certificates certificates) {
  print_line("Size", human_size(file.size()));
  print_line("Root hash", to_hex(file.signature_block().root_hash));
  print_line("Signature", signature);
  const auto infos = unverified_certificates(file.signature_block().signature);
  if (certificates == Certificates::shown && infos) {
    for (const CertificateInfo& info : *infos) {
      print_line("Certificate", info.subject + ", issued by " + info.issuer + ", valid " + utc_text(info.valid_from) +
                                    " to " + utc_text(info.valid_until) + ", SHA-256 " + info.fingerprint);
    }
  }
  const VeritySuperblock& verity = file.verity();
  print_line("Verity", "sha256, " + std::to_string(verity.data_blocks) + " data blocks of " +
                           std::to_string(verity.data_block_size) + " bytes, hash blocks of " +
                           std::to_string(verity.hash_block_size) + " bytes, salt " +
                           (verity.salt.empty() ? "none" : to_hex(verity.salt)));
  for (const ByteRange range : {file.data(), file.hash(), file.signature()}) {
    const Partition& partition = partition_at(file, range);
    print_line("Partition", partition.name + ", " + human_size(range.size) + " at " + std::to_string(range.offset) +
                                ", UUID " + guid_to_text(partition.uuid) + ", type " + guid_to_text(partition.type));
  }
}

Result<int> inspect(const std::string& path, JsonMode mode) {
  TRY(const ImageFile file, open_image(path));
  std::optional<Manifest> manifest;
  if (!file.signature_block().is_foreign()) {
    TRY(const std::string text, unverified_manifest_text(file));
    TRY(manifest, parse_manifest(text).with_context("manifest"));
  }
  const std::string& fingerprint = file.signature_block().certificate_fingerprint;
  if (mode == JsonMode::off) {
    if (manifest) print_manifest(*manifest);
    if (!manifest) print_line("Manifest", kNoManifest);
    print_container(file, fingerprint.empty() ? "none" : "not checked; says certificate " + fingerprint,
                    Certificates::shown);
    if (manifest) print_modules(*manifest);
    return 0;
  }
  OrderedJson object = describe(file, manifest);
  object["verified"] = false;
  object["certificateFingerprint"] = fingerprint;
  print_json(object, mode);
  return 0;
}

void print_verified(const ImageFile& file, const std::optional<Manifest>& manifest, const Signer& signer,
                    JsonMode mode) {
  if (mode == JsonMode::off) {
    if (manifest) print_manifest(*manifest);
    if (!manifest) print_line("Manifest", kNoManifest);
    print_container(file, "trusted, by " + signer.subject, Certificates::not_shown);
    if (manifest) print_modules(*manifest);
    return;
  }
  OrderedJson object = describe(file, manifest);
  object["verified"] = true;
  object["signer"] = signer.subject;
  object["certificateFingerprint"] = signer.fingerprint;
  print_json(object, mode);
}

enum class ManifestRule { required, may_be_absent };

struct ShowOptions {
  std::vector<std::string> trust;
  JsonMode mode = JsonMode::off;
  ManifestRule manifest = ManifestRule::required;
  std::string image;
};

Result<int> verify(const ShowOptions& options) {
  TRY(const TrustStore anchors, load_anchors(options.trust));
  TRY(ImageFile file, open_image(options.image));
  const auto now = static_cast<int64_t>(::time(nullptr));
  const JsonMode mode = options.mode;
  // Whoever cuts the manifest off an image that the policy refuses may not get a yes for it.
  if (file.signature_block().is_foreign() && options.manifest == ManifestRule::required) {
    return make_error(Errc::untrusted, Reason::manifest_missing,
                      "the image is signed, but has no signed manifest: nothing says which driver it is. To check what "
                      "systemd would check, use --without-manifest");
  }
  if (file.signature_block().is_foreign()) {
    TRY(const ForeignImage image, verify_foreign(std::move(file), anchors, now));
    TRY_VOID(image.check_all_data());
    print_verified(image.file(), std::nullopt, image.signer(), mode);
    return 0;
  }
  TRY(const VerifiedImage image, VerifiedImage::verify(std::move(file), anchors, now));
  TRY_VOID(image.check_all_data());
  print_verified(image.file(), image.manifest(), image.signer(), mode);
  return 0;
}

enum class Verb { inspect, verify };

// The exit code if the command line ends the matter.
std::optional<int> parse(int argc, char** argv, const char* help, Verb verb, ShowOptions& options) {
  enum : int { kTrust = 256, kJson, kWithoutManifest };
  const std::array known = {
      option{"json", required_argument, nullptr, kJson},
      option{"help", no_argument, nullptr, 'h'},
      verb == Verb::verify ? option{"trust", required_argument, nullptr, kTrust} : option{nullptr, 0, nullptr, 0},
      option{"without-manifest", no_argument, nullptr, kWithoutManifest},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", known.data(), nullptr)) != -1;) {
    switch (choice) {
      case kWithoutManifest:
        options.manifest = ManifestRule::may_be_absent;
        break;
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
  if (const auto code = parse(argc, argv, kInspectHelp, Verb::inspect, options)) return *code;
  const Result<int> code = inspect(options.image, options.mode);
  return code ? *code : fail(code.error());
}

int image_verify(int argc, char** argv) {
  ShowOptions options;
  if (const auto code = parse(argc, argv, kVerifyHelp, Verb::verify, options)) return *code;
  const Result<int> code = verify(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
