// VerifiedIndex: an index whose signature leads to a trust anchor and which has not expired. Only from this is chosen.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "channel/index.hpp"
#include "crypto/trust_store.hpp"

namespace driverext {

/// What somebody trusted has signed, at whatever time.
struct SignedIndex {
  ChannelIndex index;
  Signer signer;
  std::string sha256;  ///< of the signed content, hex: two signatures of one index have the same
};

/// For publishers, who make an expired index valid again; nodes take VerifiedIndex.
/// Errors: Reason::no_trust_anchor, Reason::index_untrusted; Errc::unsupported for a newer format.
Result<SignedIndex> read_signed_index(ByteSpan cms, const TrustStore& anchors, int64_t now);

class VerifiedIndex {
 public:
  /// `now` is seconds since 1970; a clock behind the index's own creation is moved up to it, so that a host without a
  /// clock is not locked out. Errors: as above, and Reason::index_expired.
  static Result<VerifiedIndex> verify(ByteSpan cms, const TrustStore& anchors, int64_t now);

  [[nodiscard]] const ChannelIndex& index() const { return signed_.index; }
  [[nodiscard]] const Signer& signer() const { return signed_.signer; }
  [[nodiscard]] const std::string& sha256() const { return signed_.sha256; }

 private:
  explicit VerifiedIndex(SignedIndex content) : signed_(std::move(content)) {}

  SignedIndex signed_;
};

}  // namespace driverext
