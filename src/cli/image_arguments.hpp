// What the image verbs take alike: an image file, and whom to trust.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/image_file.hpp"

namespace driverext::cli {

Result<ImageFile> open_image(const std::string& path);

/// Certificates (PEM), revocation lists, policies (the first that is named decides, the refusals of all hold) and
/// directories of them; none: where a host keeps its anchors. Time is not before what this host knows it to be.
Result<TrustStore> load_anchors(const std::vector<std::string>& paths);

}  // namespace driverext::cli
