#include "provisioner/attachment.hpp"

#include <cerrno>

#include "sys/undo.hpp"

namespace driverext {

VerityRequest verity_request(const VerifiedImage& image, std::string name) {
  const ImageFile& file = image.file();
  VerityRequest request;
  request.name = std::move(name);
  request.fd = file.fd();
  request.data_offset = file.data().offset;
  request.data_size = file.data().size;
  request.hash_offset = file.hash().offset;
  request.hash_size = file.hash().size;
  request.root_hash = image.root_hash_hex();
  request.salt = identity_of(image).salt;
  return request;
}

Result<std::optional<VerityDevice>> find_device(Kernel& kernel, const ImageIdentity& image, const std::string& name) {
  TRY(std::optional<VerityDevice> device, kernel.find_verity(name));
  if (!device) return device;
  const auto other = [&](const std::string& what) {
    return make_error(Errc::conflict, Reason::mount_conflict, "device-mapper device " + name + " runs over " + what);
  };
  if (device->root_hash != image.root_hash) return other("another root hash: " + device->root_hash);
  if (device->salt != image.salt) return other("another salt: " + device->salt);
  if (device->data_blocks != image.data_blocks) {
    return other(std::to_string(device->data_blocks) + " blocks, not all of the image");
  }
  if (device->corrupted) {
    return make_error(Errc::untrusted, Reason::data_corrupt,
                      "the kernel met a block in " + name + " that does not match its hash");
  }
  return device;
}

Result<VerityDevice> open_device(Kernel& kernel, const VerifiedImage& image, const std::string& name) {
  TRY(const VerityDevice made, kernel.open_verity(verity_request(image, name)));
  Undo close_device([&] { (void)kernel.close_verity(name); });
  TRY_VOID(kernel.read_first_block(made));
  TRY(std::optional<VerityDevice> device, find_device(kernel, identity_of(image), name));
  if (!device || device->device_number != made.device_number) {
    return make_error(Errc::conflict, Reason::mount_conflict, "device-mapper device " + name + " was replaced");
  }
  close_device.commit();
  return *std::move(device);
}

Result<void> compare_manifest(const Dir& inside, const std::string& signed_text) {
  Result<std::string> text = inside.read_file(kManifestPath, kMaxManifestSize);
  if (!text && text.error().os_error == EIO) {
    return make_error(Errc::untrusted, Reason::data_corrupt, "a block of the manifest does not match its hash");
  }
  if (!text && text.error().code == Errc::system) return std::move(text).error();
  if (!text || *text != signed_text) {
    return make_error(Errc::untrusted, Reason::manifest_mismatch, "the manifest in the image is not the signed one");
  }
  return {};
}

}  // namespace driverext
