// Images for selection tests, made of manifests alone: nothing is built, signed or opened.
#pragma once

#include <string>

#include "provisioner/inventory.hpp"

namespace driverext::test {

/// A manifest with one module of the sample driver; tests change what they are about.
Manifest candidate_manifest(const std::string& version, const std::string& kernel_release);

struct CandidateOptions {
  Place place = Place::store;
  Origin origin = Origin::local;
  std::string root_hash = {};  ///< empty: made of the manifest
};

/// An image with this manifest, as one that was verified earlier in this boot.
KnownImage candidate(const Manifest& manifest, const CandidateOptions& options = {});

}  // namespace driverext::test
