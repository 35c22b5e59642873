// ForeignImage: a signed image without a manifest, as systemd-repart makes it with Verity=signature.
//
// It can be checked as far as systemd would, and against this node's trust anchors. It is never attached: nothing
// signed says which driver and kernel it is for.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/image_file.hpp"

namespace driverext {

class ForeignImage {
 public:
  [[nodiscard]] const ImageFile& file() const { return file_; }
  [[nodiscard]] const Signer& signer() const { return signer_; }

  /// Every block of the tree and of the data, once, in constant memory and with whatever block sizes the superblock
  /// says. Errors: Reason::hash_tree_corrupt, Reason::data_corrupt.
  [[nodiscard]] Result<void> check_all_data() const;

 private:
  ForeignImage(ImageFile file, Signer signer) : file_(std::move(file)), signer_(std::move(signer)) {}
  friend Result<ForeignImage> verify_foreign(ImageFile file, const TrustStore& anchors, int64_t now);

  ImageFile file_;
  Signer signer_;
};

/// Checks the PKCS#7 over the root hash, and that `certificateFingerprint` is its signer's. `now` is seconds since
/// 1970. Where the policy has rules for drivers it cannot be judged (Reason::manifest_missing): any image of ours would
/// pass as one without a manifest once that is cut off. Errors: Errc::untrusted with the reason; Errc::invalid_input if
/// the image does have a manifest.
Result<ForeignImage> verify_foreign(ImageFile file, const TrustStore& anchors, int64_t now);

}  // namespace driverext
