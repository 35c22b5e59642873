// Inventory: the images on this node, each verified or with the reason why it is not.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sys/dir.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {

constexpr std::string_view kInbox = "var/lib/driverext/inbox";
constexpr std::string_view kStore = "var/lib/driverext/store";
constexpr std::string_view kQuarantine = "var/lib/driverext/quarantine";

enum class Place { inbox, store };

struct KnownImage {
  Place place = Place::inbox;
  std::string name;  ///< relative to the root
  VerifiedImage image;
};

/// A file that was refused, now or at an earlier boot (then it lies in quarantine).
struct RejectedImage {
  std::string name;  ///< relative to the root
  Error error;
  bool quarantined = false;
};

struct Inventory {
  std::vector<KnownImage> images;
  std::vector<RejectedImage> rejected;
};

/// Opens and verifies every *.raw of inbox and store. One bad image never hides another.
/// Errors: only if the folders themselves cannot be read.
Result<Inventory> take_inventory(const Dir& root, const TrustStore& anchors, int64_t now);

/// Where an image belongs in the store, relative to the root.
std::string store_folder(const VerifiedImage& image);
std::string store_name(const VerifiedImage& image);

/// The note that lies beside a quarantined file, so that the reason outlives the boot.
std::string quarantine_note(const Error& error);

}  // namespace driverext
