// The node's side of a channel: read the index, choose, fetch the chosen image, believe nothing of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "channel/download.hpp"
#include "channel/fetcher.hpp"
#include "channel/seen.hpp"
#include "channel/select.hpp"
#include "channel/signed_index.hpp"
#include "crypto/trust_store.hpp"
#include "sys/dir.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {

/// Fetched images, each ROOTHASH.raw, and the beginning of one that was cut off, ROOTHASH.raw.part.
constexpr std::string_view kFetchFolder = "var/lib/driverext/fetch";

/// A channel as a node reaches it.
struct ChannelAccess {
  Fetcher& fetcher;
  std::string url;
  const TrustStore& anchors;
  int64_t now = 0;           ///< seconds since 1970
  std::string channel = {};  ///< the name it must have; empty: any
};

/// The index as it is served now, believed. Nothing is remembered. Errors: Reason::channel_unreachable and those of
/// VerifiedIndex::verify; Reason::index_untrusted also if it is another channel's.
Result<VerifiedIndex> fetch_index(const ChannelAccess& access);

struct ChannelCheck {
  VerifiedIndex index;
  Offer offer;
};

/// What the node should tell, whatever came of the check: a line for the journal each.
using Remarks = std::vector<std::string>;

/// Fetches the index, compares it with what was seen, remembers it, then selects. Errors: as fetch_index and
/// select_image; Reason::index_rolled_back; Errc::transient if another process fetches.
Result<ChannelCheck> check_channel(const Dir& root, const ChannelAccess& access, const ChannelWish& wish,
                                   Remarks& remarks);

struct FetchedImage {
  std::string name;  ///< relative to the root: kFetchFolder/ROOTHASH.raw, mode 0644
  VerifiedImage image;
};

/// Downloads the image that was offered, or goes on with an earlier download, then verifies it and compares it with
/// what the index says of it. What does not match is removed, with Errc::untrusted. Other files in the
/// folder are removed too. Data blocks are covered by the file's digest; the kernel checks them again as they are read.
Result<FetchedImage> fetch_image(const Dir& root, const ChannelAccess& access, const Offer& offer,
                                 const DownloadProgress& progress);

}  // namespace driverext
