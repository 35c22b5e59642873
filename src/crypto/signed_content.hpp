// Reading what a CMS holds without asking who signed it: for showing and re-signing only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

/// The content of a DER CMS. Nothing about it has been verified.
Result<Bytes> unverified_content(ByteSpan cms);

/// A certificate as it says of itself.
struct CertificateInfo {
  std::string subject;      ///< RFC 2253 text
  std::string issuer;       ///< the same
  std::string fingerprint;  ///< SHA-256 of the DER certificate, hex
  int64_t valid_from = 0;   ///< seconds since 1970
  int64_t valid_until = 0;
};

/// The certificates that a DER CMS or PKCS#7 brings along, in its order. Nothing about them has been verified.
Result<std::vector<CertificateInfo>> unverified_certificates(ByteSpan cms);

/// Who a signature says made it.
struct UnverifiedSigner {
  std::string issuer;  ///< common name of the certificate's issuer; empty if a key identifier stands in its place
  std::string key_id;  ///< the certificate's serial number or key identifier: "1A:5A:58", as modinfo(8) prints it
  std::string digest;  ///< "sha256"
  size_t attribute_count = 0;  ///< signed attributes
  bool holds_content = false;  ///< what was signed is inside
};
/// Of a DER CMS or PKCS#7 with exactly one signer. Errors: Errc::untrusted, Reason::signature_invalid.
Result<UnverifiedSigner> unverified_signer(ByteSpan cms);

}  // namespace driverext
