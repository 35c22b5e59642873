// Kernel module signatures: a PKCS#7 behind the module, as the kernel's scripts/sign-file appends it.
//
// From the end of the file: 28 bytes of magic, before them the 12 bytes of struct module_signature
// (include/linux/module_signature.h), before them as many bytes of DER as its last field says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/signing_key.hpp"

namespace driverext {

/// What a module's signature says of itself; the words are those of modinfo(8). Nothing of it has been verified.
struct ModuleSignature {
  std::string signer;  ///< common name of the certificate's issuer; empty if the signature has a key identifier instead
  std::string key_id;  ///< sig_key: serial number or key identifier, "1A:5A:58"
  std::string hash;    ///< sig_hashalgo: "sha256"
  uint64_t size = 0;   ///< bytes at the end of the file that are not the module
};

/// `module` is a whole file; nothing if it is not signed. Errors: Errc::invalid_input if it ends like a signed module
/// and the signature in it cannot be read.
Result<std::optional<ModuleSignature>> read_module_signature(ByteSpan module);

/// The bytes to put behind an unsigned module. The module is not looked at. Errors: those of the key.
Result<Bytes> make_module_signature(ByteSpan module, const SigningKey& key, SignatureHash hash);

enum class SignedBefore { refuse, replace };

/// Signs a module file in place, in one go; owner and mode stay. Errors: Errc::invalid_input if it is no kernel module
/// or compressed, Errc::conflict if it is signed and that is not to be replaced. The file is then as it was.
Result<ModuleSignature> sign_module_file(const std::string& path, const SigningKey& key, SignatureHash hash,
                                         SignedBefore before);

/// Whether a file could be signed so: everything but the writing. Errors: as above.
Result<void> check_module_can_be_signed(const std::string& path, SignedBefore before);

}  // namespace driverext
