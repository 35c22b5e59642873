// Reading what a CMS holds without asking who signed it: for showing and re-signing only.
#pragma once

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

}  // namespace driverext
