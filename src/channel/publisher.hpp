// The publisher's side of a channel: a directory of files that a web server serves as they are.
//
// Whatever is done is done in one step for whoever reads: images first, each under its final name when it is whole,
// then the index takes the place of the old one. What fails leaves the directory as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "channel/index.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/trust_store.hpp"
#include "sys/dir.hpp"
#include "sys/fd.hpp"

namespace driverext {

struct PublishTerms {
  const SigningKey& key;
  /// Holds the key's own certificate. Only what these vouch for is signed anew or published: whoever can write to the
  /// directory must not get a signature for it.
  const TrustStore& anchors;
  int64_t now = 0;       ///< seconds since 1970
  int64_t lifetime = 0;  ///< seconds that nodes accept the index for
};

/// What a change made.
struct Published {
  ChannelIndex index;
  std::string driver;     ///< that was changed; init: empty
  ReleaseNumber release;  ///< that was changed
};

/// An empty channel. Errors: Errc::conflict if there is one.
Result<Published> init_channel(const Dir& folder, const std::string& name, const PublishTerms& terms);

struct InputImage {
  UniqueFd fd;
  std::string path;  ///< for messages
};

struct PublishRequest {
  std::vector<InputImage> images;        ///< of one driver and version
  std::optional<ReleaseNumber> release;  ///< none: the one after the newest of this driver, or 1.0.0
  std::optional<unsigned> percent;       ///< none: 100; a release that is there keeps its own
};

/// Adds images to a release, new or there. Errors: Errc::conflict if the release has another image for the same host,
/// another driver version or another percentage; what VerifiedImage::verify and check_all_data say of an image.
Result<Published> publish_images(const Dir& folder, const PublishRequest& request, const PublishTerms& terms);

struct RolloutRequest {
  std::string driver;                    ///< empty: the only one
  std::optional<ReleaseNumber> release;  ///< none: the newest
  unsigned percent = 0;
};
Result<Published> set_rollout(const Dir& folder, const RolloutRequest& request, const PublishTerms& terms);

}  // namespace driverext
