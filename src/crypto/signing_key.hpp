// SigningKey: a private key with its certificate, for whoever publishes images or signs modules.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/key_source.hpp"

namespace driverext {

/// The digests that kernels take for module signatures today.
enum class SignatureHash { sha256, sha512 };

class SigningKey {
 public:
  /// PEM texts; a key that is encrypted is refused. Errors: Errc::invalid_input if either is not PEM or they do not
  /// belong together, Errc::unsupported for keys that are neither RSA nor EC.
  static Result<SigningKey> from_pem(std::string_view key_pem, std::string_view certificate_pem);
  /// Errors: as above, and what opening the key meets.
  static Result<SigningKey> open(const KeySource& source, std::string_view certificate_pem);
  /// A new P-256 key with a self-signed certificate for signing code that never expires: for a node that signs what it
  /// built itself, whatever its clock says.
  struct Pem {
    std::string key;
    std::string certificate;
  };
  static Result<Pem> generate(const std::string& common_name);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  /// SHA-256 of the DER certificate, hex.
  [[nodiscard]] std::string fingerprint() const;
  [[nodiscard]] std::string certificate_pem() const;

  /// DER PKCS#7 over content that is kept elsewhere, without signed attributes: the one form that
  /// both systemd (dissect, PKCS7_verify) and the kernel (dm-verity root_hash_sig) take.
  [[nodiscard]] Result<Bytes> sign_detached(ByteSpan content) const;
  /// DER CMS with the content inside.
  [[nodiscard]] Result<Bytes> sign_attached(ByteSpan content) const;
  /// DER CMS over content that is kept elsewhere, without signed attributes and without the certificate: what the
  /// kernel's scripts/sign-file puts behind a module.
  [[nodiscard]] Result<Bytes> sign_bare(ByteSpan content, SignatureHash hash) const;

 private:
  struct Parts;
  explicit SigningKey(std::unique_ptr<Parts> parts);
  static Result<SigningKey> with_certificate(std::unique_ptr<Parts> parts, std::string_view certificate_pem);
  std::unique_ptr<Parts> parts_;
};

}  // namespace driverext
