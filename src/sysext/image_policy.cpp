#include "sysext/image_policy.hpp"

#include <algorithm>

#include "base/version.hpp"

namespace driverext {

Result<void> check_image_policy(const TrustPolicy& policy, const Manifest& manifest, const Digest& root_hash) {
  const std::string what = manifest.driver + " " + manifest.version;
  if (policy.revoked_root_hashes.contains(root_hash)) {
    return make_error(Errc::untrusted, Reason::image_revoked,
                      "this image of " + what + " (root hash " + to_hex(root_hash) + ") is revoked");
  }
  for (const Digest& revoked : policy.revoked_root_hashes) {
    const auto& made_of = manifest.built_from;
    if (std::find(made_of.begin(), made_of.end(), to_hex(revoked)) == made_of.end()) continue;
    return make_error(
        Errc::untrusted, Reason::image_revoked,
        "this image of " + what + " was built from one that is revoked (root hash " + to_hex(revoked) + ")");
  }
  const std::string minimum = policy.rules_for(manifest.driver).minimum_version;
  if (minimum.empty()) return {};
  const std::optional<int> order = compare_versions(manifest.version, minimum);
  if (order && *order >= 0) return {};
  return make_error(Errc::untrusted, Reason::version_too_old,
                    what + (order ? " is older than " : " cannot be compared with ") + minimum +
                        ", the oldest version that is accepted");
}

Result<void> check_signer_policy(const TrustPolicy& policy, const Manifest& manifest, const Signer& signer) {
  const std::optional<std::vector<std::string>> accepted = policy.rules_for(manifest.driver).anchors;
  if (!accepted) return {};
  std::string theirs;
  for (const SignerAnchor& anchor : signer.anchors) {
    const auto is_this = [&](const std::string& name) { return name == anchor.file || name == anchor.fingerprint; };
    if (std::any_of(accepted->begin(), accepted->end(), is_this)) return {};
    theirs += (theirs.empty() ? "" : ", ") + anchor.file;
  }
  return make_error(Errc::untrusted, Reason::untrusted_signer,
                    "signed by \"" + signer.subject + "\"; the trust anchor that vouches for it (" + theirs +
                        ") may not sign driver " + manifest.driver);
}

}  // namespace driverext
