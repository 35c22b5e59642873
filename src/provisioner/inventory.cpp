#include "provisioner/inventory.hpp"

#include <fcntl.h>

#include "base/json.hpp"

namespace driverext {
namespace {

constexpr std::string_view kImageSuffix = ".raw";
constexpr std::string_view kNoteSuffix = ".reason.json";
constexpr size_t kMaxNote = 65536;

Result<VerifiedImage> verify_file(const Dir& root, const std::string& name, const TrustStore& anchors, int64_t now) {
  TRY(UniqueFd fd, root.open_no_follow(name, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  TRY_VOID(check_file_is_ours(fd.get(), root.path_of(name)));
  TRY(ImageFile file, ImageFile::open(std::move(fd), root.path_of(name)));
  return VerifiedImage::verify(std::move(file), anchors, now);
}

void add(const Dir& root, Place place, const std::string& name, const TrustStore& anchors, int64_t now,
         Inventory& out) {
  Result<VerifiedImage> image = verify_file(root, name, anchors, now);
  if (image) {
    out.images.push_back({place, name, *std::move(image)});
  } else {
    out.rejected.push_back({name, std::move(image).error()});
  }
}

Error read_note(const std::string& text) {
  const Result<Json> note = parse_json(text);
  Error error = make_error(Errc::untrusted, Reason::image_malformed, "quarantined; the note beside it cannot be read");
  if (!note) return error;
  const Result<std::string> code = json_string(*note, "reason");
  const Result<std::string> message = json_string(*note, "message");
  if (!code || !message) return error;
  error.what = *message;
  for (const ReasonInfo& info : all_reasons()) {
    if (info.code == *code) error.reason = info.reason;
  }
  return error;
}

}  // namespace

Result<Inventory> take_inventory(const Dir& root, const TrustStore& anchors, int64_t now) {
  Inventory inventory;
  TRY(const std::vector<std::string> inbox, root.list(kInbox));
  for (const std::string& file : inbox) {
    if (file.ends_with(kImageSuffix) && !file.starts_with('.')) {
      add(root, Place::inbox, std::string(kInbox) + "/" + file, anchors, now, inventory);
    }
  }
  TRY(const std::vector<std::string> store, root.list(kStore));
  for (const std::string& folder : store) {
    const std::string path = std::string(kStore) + "/" + folder;
    TRY(const std::vector<std::string> files, root.list(path));
    for (const std::string& file : files) {
      if (file.ends_with(kImageSuffix)) add(root, Place::store, path + "/" + file, anchors, now, inventory);
    }
  }
  TRY(const std::vector<std::string> quarantine, root.list(kQuarantine));
  for (const std::string& file : quarantine) {
    if (!file.ends_with(kImageSuffix)) continue;
    const std::string path = std::string(kQuarantine) + "/" + file;
    TRY(const std::optional<std::string> note, root.read_if_there(path + std::string(kNoteSuffix), kMaxNote));
    inventory.rejected.push_back({path, read_note(note.value_or("")), true});
  }
  return inventory;
}

std::string store_folder(const VerifiedImage& image) { return std::string(kStore) + "/" + image.root_hash_hex(); }

std::string store_name(const VerifiedImage& image) {
  return store_folder(image) + "/" + image.manifest().driver + std::string(kImageSuffix);
}

std::string quarantine_note(const Error& error) {
  const OrderedJson note = {{"reason", reason_info(error.reason.value_or(Reason::image_malformed)).code},
                            {"message", error.message()}};
  return note.dump(2) + "\n";
}

}  // namespace driverext
