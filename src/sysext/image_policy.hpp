// The rules of the trust policy on images: what is well signed and refused all the same.
#pragma once

#include "base/result.hpp"
#include "crypto/trust_policy.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

/// Errors: Reason::image_revoked, Reason::version_too_old.
Result<void> check_image_policy(const TrustPolicy& policy, const Manifest& manifest, const Digest& root_hash);

/// Whether one of the signer's trust anchors may sign this driver. Errors: Reason::untrusted_signer.
Result<void> check_signer_policy(const TrustPolicy& policy, const Manifest& manifest, const Signer& signer);

}  // namespace driverext
