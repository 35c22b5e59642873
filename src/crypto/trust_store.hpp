// Trust anchors: the certificates that may sign extensions, and the check of a CMS against them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Who signed, as verified.
struct Signer {
  std::string subject;      ///< RFC 2253 text
  std::string fingerprint;  ///< SHA-256 of the DER certificate, hex
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

  /// Adds every `*.crt` (PEM) of the folders, in the order given; absent folders are empty. A file
  /// that is no certificate is an error: a trust anchor that is silently not loaded would show as
  /// an untrusted image far from its cause.
  static Result<TrustStore> load(const Dir& root, const std::vector<std::string>& folders);
  /// Adds the certificates of one PEM text.
  Result<void> add_pem(std::string_view pem, std::string_view origin);
  [[nodiscard]] size_t size() const;

  /// Checks a DER CMS with the signed content inside; returns content and signer.
  /// Errors: Reason::signature_invalid (not what was signed, or not a CMS that is accepted),
  /// Reason::untrusted_signer (no chain to an anchor, or not valid at that time).
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
