// VerifiedImage: an image whose signatures lead to a trust anchor. Only this can be attached.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/hash_tree.hpp"
#include "sysext/image_file.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

class VerifiedImage {
 public:
  /// In this order: the statement's CMS, the manifest, the root hash's PKCS#7 (what systemd
  /// checks), the statement names that root hash, the rules on images of the anchors' policy. Costs the same for every
  /// size of image. `now` is seconds since 1970; a clock behind the image's own creation time is moved up to it.
  /// Errors: Errc::untrusted with the reason.
  static Result<VerifiedImage> verify(ImageFile file, const TrustStore& anchors, int64_t now);

  [[nodiscard]] const ImageFile& file() const { return file_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  /// The signed bytes that manifest.json inside the image must equal.
  [[nodiscard]] const std::string& manifest_text() const { return manifest_text_; }
  [[nodiscard]] const Signer& signer() const { return signer_; }
  [[nodiscard]] const Digest& root_hash() const { return file_.signature_block().root_hash; }
  [[nodiscard]] std::string root_hash_hex() const { return to_hex(root_hash()); }

  /// How much of it the policy wants to be read before it is attached.
  [[nodiscard]] Precheck precheck() const { return precheck_; }

  /// Every block of the hash tree leads to the root hash. Data blocks are left to the kernel, which
  /// checks each as it is read. Errors: Reason::hash_tree_corrupt.
  [[nodiscard]] Result<void> check_tree() const;
  /// Tree, and every data block once. Errors: as above, and Reason::data_corrupt.
  [[nodiscard]] Result<void> check_all_data(const HashOptions& options = {}) const;

 private:
  VerifiedImage(ImageFile file, Manifest manifest, std::string manifest_text, Signer signer, Precheck precheck);

  ImageFile file_;
  Manifest manifest_;
  std::string manifest_text_;
  Signer signer_;
  Precheck precheck_;
};

}  // namespace driverext
