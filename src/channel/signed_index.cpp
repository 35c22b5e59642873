#include "channel/signed_index.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "crypto/digest.hpp"

namespace driverext {
namespace {

Error untrusted(const std::string& what) { return make_error(Errc::untrusted, Reason::index_untrusted, what); }

}  // namespace

Result<SignedIndex> read_signed_index(ByteSpan cms, const TrustStore& anchors, int64_t now) {
  if (anchors.size() == 0) {
    return make_error(Errc::untrusted, Reason::no_trust_anchor, "there is no trust anchor to check the index against");
  }
  if (cms.size() > kMaxSignedIndex) return untrusted("the index is larger than the 1 MiB that is accepted");
  Result<ChannelIndex> index = make_error(Errc::internal, "the index was not read");
  const auto read_index = [&](ByteSpan content) -> Result<int64_t> {
    index = parse_index(as_text(content));
    // One that cannot be read moves no clock; it is told only once it is known who signed it.
    return index ? std::max(now, index->created) : now;
  };
  Result<TrustStore::SignedContent> content = anchors.verify_attached(cms, read_index);
  if (!content) {
    if (content.error().code == Errc::untrusted) content.error().reason = Reason::index_untrusted;
    return std::move(content).error();
  }
  if (!index && index.error().code == Errc::unsupported) return std::move(index).error();
  if (!index) return untrusted("signed by \"" + content->signer.subject + "\", but no index: " + index.error().what);
  return SignedIndex{*std::move(index), std::move(content->signer), to_hex(sha256(content->content))};
}

Result<VerifiedIndex> VerifiedIndex::verify(ByteSpan cms, const TrustStore& anchors, int64_t now) {
  TRY(SignedIndex content, read_signed_index(cms, anchors, now));
  const ChannelIndex& index = content.index;
  if (anchors.judged_time(std::max(now, index.created)) >= index.expires) {
    return make_error(Errc::untrusted, Reason::index_expired,
                      "index " + std::to_string(index.serial) + " of channel " + index.channel + " expired on " +
                          utc_text(index.expires) + "; this host's clock says " + utc_text(now));
  }
  return VerifiedIndex(std::move(content));
}

}  // namespace driverext
