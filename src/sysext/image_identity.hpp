// ImageIdentity: what of a verified image decides whether it fits and tells whether it is attached and loaded: small
// enough to be kept for a thousand of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sysext/verified_image.hpp"

namespace driverext {

struct ModuleIdentity {
  std::string name;  ///< as /proc/modules spells it
  std::string build_id;
  std::string version;  ///< empty if it has none
  bool operator==(const ModuleIdentity&) const = default;
};

/// Members of the same name are those of Manifest, Signer and VeritySuperblock.
struct ImageIdentity {
  std::string root_hash;  ///< hex
  std::string salt;       ///< hex, "-" if none: as dm-verity's table has it
  uint64_t data_blocks = 0;
  std::string driver;
  std::string version;
  std::string flavor;
  Kind kind = Kind::modules;
  std::string userland;
  std::string kernel_release;
  std::string vermagic;
  std::vector<std::string> kernels;
  std::string architecture;
  std::string os_id;
  std::string os_version_id;
  uint64_t created = 0;
  std::vector<ModuleIdentity> modules;
  std::string signer;              ///< subject
  std::string signer_fingerprint;  ///< SHA-256 of the certificate
  int64_t signer_valid_from = 0;
  int64_t signer_valid_until = 0;

  bool operator==(const ImageIdentity&) const = default;

  [[nodiscard]] bool is_loadable() const { return kind == Kind::modules || kind == Kind::complete; }
  [[nodiscard]] bool has_userland() const { return kind == Kind::complete || kind == Kind::userland; }
};

ImageIdentity identity_of(const VerifiedImage& image);
/// What the manifest alone tells: without the dm-verity values and the signer.
ImageIdentity identity_in(const Manifest& manifest);

/// As extension_name of its manifest.
std::string extension_name(const ImageIdentity& identity);

}  // namespace driverext
