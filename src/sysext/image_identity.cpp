#include "sysext/image_identity.hpp"

namespace driverext {

ImageIdentity identity_in(const Manifest& manifest) {
  ImageIdentity identity;
  identity.driver = manifest.driver;
  identity.version = manifest.version;
  identity.flavor = manifest.flavor;
  identity.kind = manifest.kind;
  identity.userland = manifest.userland;
  identity.kernel_release = manifest.kernel_release;
  identity.vermagic = manifest.vermagic;
  identity.kernels = manifest.kernels;
  identity.architecture = manifest.architecture;
  identity.os_id = manifest.os_id;
  identity.os_version_id = manifest.os_version_id;
  identity.created = manifest.created;
  for (const ModuleRecord& record : manifest.modules) {
    identity.modules.push_back({record.name, record.build_id, record.version});
  }
  return identity;
}

ImageIdentity identity_of(const VerifiedImage& image) {
  const VeritySuperblock& verity = image.file().verity();
  ImageIdentity identity = identity_in(image.manifest());
  identity.root_hash = image.root_hash_hex();
  identity.salt = verity.salt.empty() ? "-" : to_hex(verity.salt);
  identity.data_blocks = verity.data_blocks;
  identity.signer = image.signer().subject;
  identity.signer_fingerprint = image.signer().fingerprint;
  identity.signer_valid_from = image.signer().valid_from;
  identity.signer_valid_until = image.signer().valid_until;
  return identity;
}

std::string extension_name(const ImageIdentity& identity) {
  return identity.kind == Kind::userland ? identity.driver + "-userland" : identity.driver;
}

}  // namespace driverext
