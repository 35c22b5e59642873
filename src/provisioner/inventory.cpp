#include "provisioner/inventory.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/json.hpp"
#include "base/text.hpp"
#include "provisioner/verified_cache.hpp"

namespace driverext {
namespace {

constexpr std::string_view kImageSuffix = ".raw";
constexpr std::string_view kNoteSuffix = ".reason.json";

constexpr std::string_view kOriginFile = "/origin";
constexpr size_t kMaxOrigin = 64;

// `stamp` is taken before anything of the file is read.
Result<VerifiedImage> verify_file(const Dir& root, const std::string& name, const TrustStore& anchors, int64_t now,
                                  FileStamp& stamp) {
  Result<UniqueFd> opened = root.open_no_follow(name, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!opened && (opened.error().os_error == ELOOP || opened.error().os_error == ENXIO)) {
    return make_error(Errc::untrusted, Reason::unsafe_file, root.path_of(name) + " is not a regular file");
  }
  TRY(UniqueFd fd, std::move(opened));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return os_failure(errno, "cannot look at " + root.path_of(name));
  stamp = stamp_of(status);
  TRY_VOID(check_file_is_ours(fd.get(), root.path_of(name)));
  TRY(ImageFile file, ImageFile::open(std::move(fd), root.path_of(name)));
  return VerifiedImage::verify(std::move(file), anchors, now);
}

// What goes to the store is the file that was verified. Another one that has its name by now waits for its own verdict.
Result<void> check_still_named(const Dir& root, const std::string& name, int fd) {
  struct stat verified {};
  if (::fstat(fd, &verified) != 0) return os_failure(errno, "cannot look at " + root.path_of(name));
  TRY(const auto named, root.status(name));
  if (named && named->st_dev == verified.st_dev && named->st_ino == verified.st_ino) return {};
  return make_error(Errc::conflict, root.path_of(name) + " was replaced after it was verified");
}

Origin origin_of_name(std::string_view name) {
  for (const Origin origin : {Origin::built, Origin::channel}) {
    if (name == origin_name(origin)) return origin;
  }
  return Origin::local;
}

std::string manifest_text_name(const std::string& root_hash) { return std::string(kManifestTexts) + "/" + root_hash; }

VerifiedEntry entry_of(const KnownImage& known, const FileStamp& stamp, const std::string& folder,
                       const FileStamp& folder_stamp, int64_t now) {
  VerifiedEntry entry;
  entry.folder = folder;
  entry.folder_stamp = folder_stamp;
  entry.file = known.name.substr(known.name.rfind('/') + 1);
  entry.file_stamp = stamp;
  entry.origin = origin_name(known.origin);
  entry.verified_at = now;
  entry.identity = known.shared_identity();
  return entry;
}

// Images that an earlier run of this boot verified: nothing but their names is read until they are needed.
class Recalled final : public KnownImage::Source {
 public:
  Recalled(const Dir& root, LazyTrust& trust, int64_t now) : root_(root), trust_(trust), now_(now) {}

  [[nodiscard]] Result<VerifiedImage> reopen(const KnownImage& known) const override {
    TRY(const Trust* trust, trust_.get());
    FileStamp stamp;
    TRY(VerifiedImage image,
        verify_file(root_, known.name, known.origin == Origin::built ? trust->node : trust->publishers, now_, stamp));
    // It need not be the same file any more, as long as it is the same image.
    if (image.root_hash_hex() == known.identity().root_hash) return image;
    return make_error(Errc::conflict, root_.path_of(known.name) + " was replaced while this was running; run it again");
  }

  [[nodiscard]] std::optional<std::string> manifest_text(const KnownImage& known) const override {
    auto text = root_.read_if_there(manifest_text_name(known.identity().root_hash), kMaxManifestSize);
    return text ? *std::move(text) : std::nullopt;
  }

 private:
  const Dir& root_;
  LazyTrust& trust_;
  int64_t now_;
};

class Inventarist {
 public:
  Inventarist(const Dir& root, LazyTrust& trust, int64_t now, VerifiedCache* cache)
      : root_(root), trust_(trust), now_(now), cache_(cache) {}

  Result<void> look_into_store() {
    TRY(const std::vector<std::string> folders, root_.list(kStore));
    if (folders.empty()) return {};
    TRY(const Dir store, root_.open_dir(kStore));
    inventory_.images.reserve(folders.size());
    for (const std::string& folder : folders) TRY_VOID(look_into_store_folder(store, folder));
    if (cache_ != nullptr) cache_->keep_only(folders);
    return {};
  }

  // The *.raw files of one folder, but for hidden ones: those are still being written.
  Result<void> look_into(Place place, const std::string& folder) {
    TRY(const std::vector<std::string> names, root_.list(folder));
    for (const std::string& name : names) {
      if (is_image_name(name)) TRY_VOID(add(place, folder + "/" + name));
    }
    return {};
  }

  Inventory finish() && { return std::move(inventory_); }

 private:
  static bool is_image_name(const std::string& name) { return name.ends_with(kImageSuffix) && !name.starts_with('.'); }

  // A folder that is as it was holds the same files; those that are as they were need not be opened.
  Result<void> look_into_store_folder(const Dir& store, const std::string& folder) {
    const std::string path = std::string(kStore) + "/" + folder;
    if (cache_ == nullptr) return look_into(Place::store, path);
    const std::span<const VerifiedEntry> known = cache_->in_folder(folder);
    const Result<Dir> opened = store.open_dir(folder);
    const auto status = opened ? opened->own_status() : Result<struct stat>(opened.error());
    const FileStamp stamp = status ? stamp_of(*status) : FileStamp();
    const bool is_as_it_was =
        !known.empty() && status && std::all_of(known.begin(), known.end(), [&](const VerifiedEntry& entry) {
          if (!(entry.folder_stamp == stamp) || !entry.holds_at(now_)) return false;
          const auto file = opened->status(entry.file);
          return file && *file && stamp_of(**file) == entry.file_stamp;
        });
    if (is_as_it_was) {
      for (const VerifiedEntry& entry : known) recall(entry, path + "/" + entry.file);
      return {};
    }
    const size_t images_before = inventory_.images.size();
    const size_t rejected_before = inventory_.rejected.size();
    TRY_VOID(look_into(Place::store, path));
    std::vector<VerifiedEntry> entries;
    // One that was refused is looked at anew each time, and so is whatever lies beside it.
    if (inventory_.rejected.size() == rejected_before) {
      for (size_t i = images_before; i < inventory_.images.size(); ++i) {
        entries.push_back(entry_of(inventory_.images[i], stamps_[inventory_.images[i].name], folder, stamp, now_));
      }
    }
    if (!known.empty() || !entries.empty()) cache_->put(folder, std::move(entries));
    return {};
  }

  void recall(const VerifiedEntry& entry, std::string name) {
    if (!recalled_) recalled_ = std::make_shared<const Recalled>(root_, trust_, now_);
    inventory_.images.emplace_back(Place::store, std::move(name), origin_of_name(entry.origin), entry.identity,
                                   recalled_);
  }

  Result<void> add(Place place, const std::string& name) {
    TRY(const Trust* trust, trust_.get());
    Origin origin = Origin::local;
    FileStamp stamp;
    Result<VerifiedImage> image = verify_file(root_, name, trust->publishers, now_, stamp);
    if (!image && place == Place::store && trust->node.size() != 0) {
      Result<VerifiedImage> built = verify_file(root_, name, trust->node, now_, stamp);
      if (built && built->manifest().kind == Kind::modules) {
        image = std::move(built);
        origin = Origin::built;
      } else if (!built && reason_of(built.error()) != Reason::untrusted_signer) {
        image = std::move(built);  // the node's own work, and what is wrong with it is another thing than who signed it
      }
    }
    if (place == Place::store && origin == Origin::local) origin = noted_origin(name);
    const bool to_be_read = image && place != Place::store && (place == Place::quarantine || is_known(*image));
    if (to_be_read) {
      if (Result<void> whole = image->check_all_data(); !whole) image = std::move(whole).error();
    }
    if (image) {
      inventory_.images.emplace_back(place, name, origin, *std::move(image));
      inventory_.images.back().whole = to_be_read;
      stamps_[name] = stamp;
    } else {
      inventory_.rejected.push_back({place, name, std::move(image).error()});
    }
    return {};
  }

  // For people only: nothing is decided by it.
  [[nodiscard]] Origin noted_origin(const std::string& name) const {
    const auto note = root_.read_if_there(name.substr(0, name.rfind('/')) + std::string(kOriginFile), kMaxOrigin);
    return note && *note && trim(**note) == origin_name(Origin::channel) ? Origin::channel : Origin::local;
  }

  [[nodiscard]] bool is_known(const VerifiedImage& image) const {
    const std::string root_hash = image.root_hash_hex();
    return std::any_of(inventory_.images.begin(), inventory_.images.end(),
                       [&](const KnownImage& known) { return known.identity().root_hash == root_hash; });
  }

  const Dir& root_;
  LazyTrust& trust_;
  int64_t now_;
  VerifiedCache* cache_;
  Inventory inventory_;
  std::shared_ptr<const Recalled> recalled_;
  std::map<std::string, FileStamp> stamps_;  // of what was verified here, from before it was read
};

}  // namespace

Result<const Trust*> LazyTrust::get() {
  if (!trust_) trust_ = load_trust(root_);
  if (!*trust_) return trust_->error();
  return &**trust_;
}

struct KnownImage::Content {
  std::optional<VerifiedImage> image;
  std::optional<Manifest> manifest;
};

KnownImage::KnownImage(Place where, std::string path, Origin from, VerifiedImage image)
    : place(where),
      name(std::move(path)),
      origin(from),
      identity_(std::make_shared<const ImageIdentity>(identity_of(image))) {
  content().image.emplace(std::move(image));
}

KnownImage::KnownImage(Place where, std::string path, Origin from, std::shared_ptr<const ImageIdentity> identity,
                       std::shared_ptr<const Source> source)
    : place(where), name(std::move(path)), origin(from), identity_(std::move(identity)), source_(std::move(source)) {}

KnownImage::Content& KnownImage::content() const {
  if (!content_) content_ = std::make_shared<Content>();
  return *content_;
}

Result<const VerifiedImage*> KnownImage::open() const {
  if (!content().image) {
    TRY(VerifiedImage image, source_->reopen(*this));
    content().image.emplace(std::move(image));
  }
  return &*content().image;
}

bool KnownImage::is_open() const { return content_ && content_->image; }

Result<std::string> KnownImage::manifest_text() const {
  if (!is_open()) {
    if (std::optional<std::string> text = source_->manifest_text(*this)) return *std::move(text);
  }
  TRY(const VerifiedImage* image, open());
  return image->manifest_text();
}

Result<const Manifest*> KnownImage::manifest() const {
  if (is_open()) return &content().image->manifest();
  if (!content().manifest) {
    const std::optional<std::string> text = source_->manifest_text(*this);
    Result<Manifest> parsed = text ? parse_manifest(*text) : make_error(Errc::not_found, "it is not at hand");
    if (!parsed) {
      TRY(const VerifiedImage* image, open());
      return &image->manifest();
    }
    content().manifest.emplace(*std::move(parsed));
  }
  return &*content().manifest;
}

std::string_view origin_name(Origin origin) {
  switch (origin) {
    case Origin::local:
      return "local";
    case Origin::channel:
      return "channel";
    case Origin::built:
      return "built";
  }
  return "?";
}

Result<Trust> load_trust(const Dir& root) {
  TRY(TrustStore publishers, TrustStore::load(root, kTrustFolders));
  // A damaged one vouches for nothing; what publishers signed is as good as before.
  Result<TrustStore> node = TrustStore::load(root, {std::string(kNodeKeys)});
  Trust trust{std::move(publishers), node ? *std::move(node) : TrustStore()};
  trust.node.set_policy(trust.publishers.policy().for_own_key());
  return trust;
}

namespace {

Result<Inventory> take(const Dir& root, LazyTrust& trust, int64_t now, VerifiedCache* cache) {
  Inventarist inventarist(root, trust, now, cache);
  TRY_VOID(inventarist.look_into_store());
  TRY_VOID(inventarist.look_into(Place::inbox, std::string(kInbox)));
  TRY_VOID(inventarist.look_into(Place::quarantine, std::string(kQuarantine)));
  return std::move(inventarist).finish();
}

}  // namespace

Result<Inventory> take_inventory(const Dir& root, LazyTrust& trust, int64_t now) {
  return take(root, trust, now, nullptr);
}

Result<Inventory> take_inventory(const Dir& root, LazyTrust& trust, int64_t now, VerifiedCache& cache) {
  return take(root, trust, now, &cache);
}

void remember_verified(const Dir& root, const Inventory& inventory, int64_t now, VerifiedCache& cache) {
  for (const KnownImage& known : inventory.images) {
    if (known.place == Place::store || !known.is_open()) continue;
    const Result<const VerifiedImage*> image = known.open();
    const std::string folder = store_folder(known.identity());
    const auto folder_status = root.status(folder);
    const auto named = root.status(store_name(known.identity()));
    struct stat verified {};
    if (!image || !folder_status || !*folder_status || !named || !*named) continue;
    if (::fstat((*image)->file().fd(), &verified) != 0 || !(stamp_of(verified) == stamp_of(**named))) continue;
    KnownImage moved = known;
    moved.name = store_name(known.identity());
    const std::string leaf = folder.substr(folder.rfind('/') + 1);
    cache.put(leaf, {entry_of(moved, stamp_of(verified), leaf, stamp_of(**folder_status), now)});
  }
}

std::string store_folder(const ImageIdentity& image) { return std::string(kStore) + "/" + image.root_hash; }

std::string store_name(const ImageIdentity& image) {
  return store_folder(image) + "/" + image.driver + std::string(kImageSuffix);
}

Result<void> move_to_store(const Dir& root, const std::string& name, const VerifiedImage& image, Origin origin) {
  const ImageIdentity identity = identity_of(image);
  TRY_VOID(root.make_dirs(store_folder(identity), 0755));
  // On disk before it has its name there: after a power cut the store holds whole files only.
  TRY_VOID(sync_file(image.file().fd(), root.path_of(name)));
  TRY_VOID(check_still_named(root, name, image.file().fd()));
  TRY_VOID(root.replace(name, store_name(identity)));
  const std::string note = store_folder(identity) + std::string(kOriginFile);
  if (origin == Origin::local) return root.remove_file(note);
  return root.write_atomic(note, std::string(origin_name(origin)) + "\n", 0644);
}

std::string quarantine_note_name(const std::string& image_name) { return image_name + std::string(kNoteSuffix); }

std::string quarantine_note(const Error& error) {
  const OrderedJson note = {{"reason", reason_info(reason_of(error)).code}, {"message", error.message()}};
  // File names and words of a damaged file need not be UTF-8.
  return note.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace driverext
