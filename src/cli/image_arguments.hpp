// What the image verbs take alike: an image file, and whom to trust.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sysext/image_file.hpp"

namespace driverext::cli {

Result<ImageFile> open_image(const std::string& path);

/// Certificates (PEM) and directories of *.crt; none: where a host keeps its anchors.
Result<TrustStore> load_anchors(const std::vector<std::string>& paths);

}  // namespace driverext::cli
