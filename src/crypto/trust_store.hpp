// Trust anchors: the certificates that may sign extensions, and the check of a CMS against them, under the trust
// policy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/trust_policy.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// A trust anchor that vouches for a signer.
struct SignerAnchor {
  std::string file;         ///< name of the file that it came from, without its folder
  std::string fingerprint;  ///< as Signer's
};

/// Who signed, as verified.
struct Signer {
  std::string subject;      ///< RFC 2253 text
  std::string fingerprint;  ///< SHA-256 of the DER certificate, hex
  /// Those in the chain from the signer's certificate up to the first that is an anchor, or further where all are.
  std::vector<SignerAnchor> anchors = {};
  /// When the chain's newest certificate became valid: seconds since 1970.
  int64_t valid_from = 0;
  /// When the first of the chain's certificates stops being valid.
  int64_t valid_until = 0;
};

/// When a signature's certificates must have been valid: seconds since 1970. Called with the
/// signed bytes after the signature itself was found right, so that a clock that is behind the
/// image's own creation can be corrected.
using JudgedTime = std::function<Result<int64_t>(ByteSpan signed_content)>;

/// Where a host keeps its trust anchors, relative to its root.
inline const std::vector<std::string> kTrustFolders = {"etc/driverext/trust", "usr/lib/driverext/trust"};

class TrustStore {
 public:
  TrustStore();
  ~TrustStore();
  TrustStore(TrustStore&&) noexcept;
  TrustStore& operator=(TrustStore&&) noexcept;

  /// Adds every `*.crt` (PEM) and `*.crl` (PEM or DER) of the folders, in the order given; absent folders are empty.
  /// The policies are added in that order, the node's before the OS vendor's. Time is not before earliest_time() of
  /// `root`. A file that cannot be used is an error (Reason::config_invalid): a trust anchor that is silently not
  /// loaded would show as an untrusted image far from its cause, and a policy or a revocation would not show at all.
  static Result<TrustStore> load(const Dir& root, const std::vector<std::string>& folders);
  /// Adds the certificates of one PEM text.
  Result<void> add_pem(std::string_view pem, std::string_view origin);
  /// Adds a revocation list. Errors: Reason::config_invalid.
  Result<void> add_crl(ByteSpan file, std::string_view origin);
  /// In place of what was there.
  void set_policy(TrustPolicy policy);
  /// The first that is added decides; of later ones counts what it does not state, and what they refuse: what an OS
  /// vendor revokes stays revoked beside a policy of the node.
  void add_policy(TrustPolicy policy);
  /// No certificate is judged at an earlier time than this: seconds since 1970.
  void set_earliest(int64_t time);
  [[nodiscard]] const TrustPolicy& policy() const;
  /// Number of trust anchors.
  [[nodiscard]] size_t size() const;
  /// The time that is judged by: `claimed`, or what it is known to be later than. Seconds since 1970.
  [[nodiscard]] int64_t judged_time(int64_t claimed) const;

  /// Checks a DER CMS with the signed content inside; returns content and signer.
  /// Errors: Reason::signature_invalid (not what was signed, or not a CMS that is accepted), Reason::signer_revoked,
  /// Reason::untrusted_signer (no chain to an anchor, not valid at that time, or against the policy).
  struct SignedContent;
  [[nodiscard]] Result<SignedContent> verify_attached(ByteSpan cms, const JudgedTime& time) const;
  /// Checks a DER CMS or PKCS#7 that signs `content` from outside. Errors as above.
  [[nodiscard]] Result<Signer> verify_detached(ByteSpan cms, ByteSpan content, const JudgedTime& time) const;

 private:
  struct Anchors;
  std::unique_ptr<Anchors> anchors_;
};

struct TrustStore::SignedContent {
  Bytes content;
  Signer signer;
};

}  // namespace driverext
