// Who signs a row's image, and how.
#pragma once

#include <string>

#include "support/sample_image.hpp"

namespace driverext::test {

/// Kept until the program ends: a row's bytes and its anchors are asked for apart.
const Identity& kept(const IdentityRequest& request);

/// The sample image signed anew.
std::string signed_by(const Identity& signer, uint64_t created = sample_manifest().created);
std::string signed_with(const CmsRequest& request);

}  // namespace driverext::test
