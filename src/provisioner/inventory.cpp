#include "provisioner/inventory.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/json.hpp"

namespace driverext {
namespace {

constexpr std::string_view kImageSuffix = ".raw";
constexpr std::string_view kNoteSuffix = ".reason.json";

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

class Inventarist {
 public:
  Inventarist(const Dir& root, const TrustStore& anchors, int64_t now) : root_(root), anchors_(anchors), now_(now) {}

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
    Result<VerifiedImage> image = verify_file(root_, name, anchors_, now_);
    const bool to_be_read = image && place != Place::store && (place == Place::quarantine || is_known(*image));
    if (to_be_read) {
      if (Result<void> whole = image->check_all_data(); !whole) image = std::move(whole).error();
    }
    if (image) {
      inventory_.images.push_back({place, name, *std::move(image), to_be_read});
    } else {
      inventory_.rejected.push_back({place, name, std::move(image).error()});
    }
  }

  [[nodiscard]] bool is_known(const VerifiedImage& image) const {
    return std::any_of(inventory_.images.begin(), inventory_.images.end(),
                       [&](const KnownImage& known) { return known.image.root_hash() == image.root_hash(); });
  }

  const Dir& root_;
  const TrustStore& anchors_;
  int64_t now_;
  Inventory inventory_;
};

}  // namespace

Result<Inventory> take_inventory(const Dir& root, const TrustStore& anchors, int64_t now) {
  Inventarist inventarist(root, anchors, now);
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

std::string quarantine_note_name(const std::string& image_name) { return image_name + std::string(kNoteSuffix); }

std::string quarantine_note(const Error& error) {
  const OrderedJson note = {{"reason", reason_info(reason_of(error)).code}, {"message", error.message()}};
  // File names and words of a damaged file need not be UTF-8.
  return note.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace driverext
