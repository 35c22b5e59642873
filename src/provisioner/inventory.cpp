#include "provisioner/inventory.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/json.hpp"
#include "base/text.hpp"

namespace driverext {
namespace {

constexpr std::string_view kImageSuffix = ".raw";
constexpr std::string_view kNoteSuffix = ".reason.json";

constexpr std::string_view kOriginFile = "/origin";
constexpr size_t kMaxOrigin = 64;

Result<VerifiedImage> verify_file(const Dir& root, const std::string& name, const TrustStore& anchors, int64_t now) {
  Result<UniqueFd> opened = root.open_no_follow(name, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!opened && (opened.error().os_error == ELOOP || opened.error().os_error == ENXIO)) {
    return make_error(Errc::untrusted, Reason::unsafe_file, root.path_of(name) + " is not a regular file");
  }
  TRY(UniqueFd fd, std::move(opened));
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

class Inventarist {
 public:
  Inventarist(const Dir& root, const Trust& trust, int64_t now) : root_(root), trust_(trust), now_(now) {}

  // The *.raw files of one folder, but for hidden ones: those are still being written.
  Result<void> look_into(Place place, const std::string& folder) {
    TRY(const std::vector<std::string> names, root_.list(folder));
    for (const std::string& name : names) {
      if (name.ends_with(kImageSuffix) && !name.starts_with('.')) add(place, folder + "/" + name);
    }
    return {};
  }

  Inventory finish() && { return std::move(inventory_); }

 private:
  void add(Place place, const std::string& name) {
    Origin origin = Origin::local;
    Result<VerifiedImage> image = verify_file(root_, name, trust_.publishers, now_);
    if (!image && place == Place::store && trust_.node.size() != 0) {
      Result<VerifiedImage> built = verify_file(root_, name, trust_.node, now_);
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
      inventory_.images.push_back({place, name, origin, *std::move(image), to_be_read});
    } else {
      inventory_.rejected.push_back({place, name, std::move(image).error()});
    }
  }

  // For people only: nothing is decided by it.
  [[nodiscard]] Origin noted_origin(const std::string& name) const {
    const auto note = root_.read_if_there(name.substr(0, name.rfind('/')) + std::string(kOriginFile), kMaxOrigin);
    return note && *note && trim(**note) == origin_name(Origin::channel) ? Origin::channel : Origin::local;
  }

  [[nodiscard]] bool is_known(const VerifiedImage& image) const {
    return std::any_of(inventory_.images.begin(), inventory_.images.end(),
                       [&](const KnownImage& known) { return known.image.root_hash() == image.root_hash(); });
  }

  const Dir& root_;
  const Trust& trust_;
  int64_t now_;
  Inventory inventory_;
};

}  // namespace

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

Result<Inventory> take_inventory(const Dir& root, const Trust& trust, int64_t now) {
  Inventarist inventarist(root, trust, now);
  TRY(const std::vector<std::string> store, root.list(kStore));
  for (const std::string& folder : store) {
    TRY_VOID(inventarist.look_into(Place::store, std::string(kStore) + "/" + folder));
  }
  TRY_VOID(inventarist.look_into(Place::inbox, std::string(kInbox)));
  TRY_VOID(inventarist.look_into(Place::quarantine, std::string(kQuarantine)));
  return std::move(inventarist).finish();
}

std::string store_folder(const VerifiedImage& image) { return std::string(kStore) + "/" + image.root_hash_hex(); }

std::string store_name(const VerifiedImage& image) {
  return store_folder(image) + "/" + image.manifest().driver + std::string(kImageSuffix);
}

Result<void> move_to_store(const Dir& root, const std::string& name, const VerifiedImage& image, Origin origin) {
  TRY_VOID(root.make_dirs(store_folder(image), 0755));
  // On disk before it has its name there: after a power cut the store holds whole files only.
  TRY_VOID(sync_file(image.file().fd(), root.path_of(name)));
  TRY_VOID(check_still_named(root, name, image.file().fd()));
  TRY_VOID(root.replace(name, store_name(image)));
  const std::string note = store_folder(image) + std::string(kOriginFile);
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
