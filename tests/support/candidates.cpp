#include "candidates.hpp"

#include "crypto/digest.hpp"
#include "sample_image.hpp"

namespace driverext::test {
namespace {

class TextAlone final : public KnownImage::Source {
 public:
  explicit TextAlone(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] Result<VerifiedImage> reopen(const KnownImage& /*known*/) const override {
    return make_error(Errc::not_found, "there is no file behind it");
  }
  [[nodiscard]] std::optional<std::string> manifest_text(const KnownImage& /*known*/) const override { return text_; }

 private:
  std::string text_;
};

}  // namespace

Manifest candidate_manifest(const std::string& version, const std::string& kernel_release) {
  Manifest manifest;
  manifest.driver = kSampleDriver;
  manifest.version = version;
  manifest.architecture = "x86-64";
  manifest.os_id = "debian";
  manifest.os_version_id = "12";
  manifest.license = "GPL";
  manifest.created = 1'700'000'000;
  manifest.kernel_release = kernel_release;
  manifest.vermagic = kernel_release + " SMP preempt mod_unload modversions";
  ModuleRecord record;
  record.name = kSampleDriver;
  record.path = "usr/lib/modules/" + kernel_release + "/driverext/testcam/testcam.ko";
  record.size = 1;
  record.sha256 = std::string(64, 'a');
  record.build_id = "aa01";
  record.version = version;
  record.imports = {{"_printk", 0x11}, {"module_layout", 0x22}};
  manifest.modules.push_back(std::move(record));
  return manifest;
}

KnownImage candidate(const Manifest& manifest, const CandidateOptions& options) {
  const std::string text = format_manifest(manifest);
  ImageIdentity identity = identity_in(manifest);
  identity.root_hash = options.root_hash.empty() ? to_hex(sha256(as_bytes(text))) : options.root_hash;
  identity.salt = "-";
  identity.signer = "CN=publisher";
  const std::string name = std::string(kStore) + "/" + identity.root_hash + "/" + manifest.driver + ".raw";
  return {options.place, name, options.origin, std::make_shared<const ImageIdentity>(identity),
          std::make_shared<const TextAlone>(text)};
}

}  // namespace driverext::test
