// Inventory: the images on this node, each verified or with the reason why it is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/trust_store.hpp"
#include "sys/dir.hpp"
#include "sysext/image_identity.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {

constexpr std::string_view kInbox = "var/lib/driverext/inbox";
constexpr std::string_view kStore = "var/lib/driverext/store";
constexpr std::string_view kQuarantine = "var/lib/driverext/quarantine";

/// Where a file lies. What was refused once is looked at anew each time: the reason may have been mended since, by a
/// trust anchor that was placed or a clock that was set.
enum class Place { inbox, store, quarantine };

/// How an image came to be on this node.
enum class Origin { local, channel, built };
std::string_view origin_name(Origin origin);

/// Whom this node trusts.
struct Trust {
  TrustStore publishers;
  /// The node's own key: only for what it built itself and put into its store.
  TrustStore node;
};
/// Errors: as TrustStore::load.
Result<Trust> load_trust(const Dir& root);

/// Where the node's own key and certificate are, relative to the root.
constexpr std::string_view kNodeKeys = "var/lib/driverext/keys";

/// Trust that is read when somebody asks for it, once: reading certificates costs more than a run with nothing to do.
class LazyTrust {
 public:
  explicit LazyTrust(const Dir& root) : root_(root) {}
  Result<const Trust*> get();

 private:
  const Dir& root_;
  std::optional<Result<Trust>> trust_;
};

/// An image that was verified: just now, or earlier in this boot (VerifiedCache). What it is like is known; its bytes
/// are opened, and verified as a whole if that was not just now, when they are needed.
class KnownImage {
 public:
  /// Where the bytes of images that were verified earlier come from. One for many of them.
  class Source {
   public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;
    /// Opens and verifies it once more. Errors: also Errc::conflict if the file is another one by now.
    [[nodiscard]] virtual Result<VerifiedImage> reopen(const KnownImage& known) const = 0;
    /// The manifest's text as it was verified, if it is at hand.
    [[nodiscard]] virtual std::optional<std::string> manifest_text(const KnownImage& known) const = 0;
  };

  KnownImage(Place where, std::string path, Origin from, VerifiedImage image);
  KnownImage(Place where, std::string path, Origin from, std::shared_ptr<const ImageIdentity> identity,
             std::shared_ptr<const Source> source);

  Place place;
  std::string name;  ///< relative to the root
  Origin origin;
  /// All its data has been read and was right. Of others the kernel will tell, block by block.
  bool whole = false;

  [[nodiscard]] const ImageIdentity& identity() const { return *identity_; }
  [[nodiscard]] const std::shared_ptr<const ImageIdentity>& shared_identity() const { return identity_; }
  /// Errors: those of VerifiedImage::verify, also if the file is another one by now.
  [[nodiscard]] Result<const VerifiedImage*> open() const;
  [[nodiscard]] bool is_open() const;
  /// The signed bytes that manifest.json inside the image must equal. Errors: as open().
  [[nodiscard]] Result<std::string> manifest_text() const;
  /// Errors: as open().
  [[nodiscard]] Result<const Manifest*> manifest() const;

 private:
  struct Content;
  Content& content() const;
  std::shared_ptr<const ImageIdentity> identity_;
  std::shared_ptr<const Source> source_;      // none: it was verified just now
  mutable std::shared_ptr<Content> content_;  // once somebody asked for it; copies then share it
};

/// A file that was refused.
struct RejectedImage {
  Place place = Place::inbox;
  std::string name;  ///< relative to the root
  /// Errc::untrusted, or what kept the file from being read at all.
  Error error;
};

struct Inventory {
  std::vector<KnownImage> images;
  std::vector<RejectedImage> rejected;
};

/// Verifies every *.raw of store, inbox and quarantine. One bad image never hides another. A file that has
/// the root hash of another one may have been sent to mend it, and one from quarantine may have been damaged: these are
/// here only if all their data is whole. Errors: only if the folders themselves cannot be read.
Result<Inventory> take_inventory(const Dir& root, LazyTrust& trust, int64_t now);

class VerifiedCache;
/// The same; images of the store that `cache` knows are not opened. What was verified anew is put into it.
Result<Inventory> take_inventory(const Dir& root, LazyTrust& trust, int64_t now, VerifiedCache& cache);
/// After import: what it has moved into the store is put into the cache under its new name.
void remember_verified(const Dir& root, const Inventory& inventory, int64_t now, VerifiedCache& cache);

/// Where an image belongs in the store, relative to the root.
std::string store_folder(const ImageIdentity& image);
std::string store_name(const ImageIdentity& image);
/// Moves a verified file of this host into the store, durably, in place of what is there under its root hash.
Result<void> move_to_store(const Dir& root, const std::string& name, const VerifiedImage& image, Origin origin);

/// The note that lies beside a quarantined file for people to find: its name, its text.
std::string quarantine_note_name(const std::string& image_name);
std::string quarantine_note(const Error& error);

}  // namespace driverext
