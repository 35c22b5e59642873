// What is asked of the certificates of a chain and of the digest that was signed, beyond what OpenSSL's own check of
// the chain asks. Included by the source files of this folder only.
#pragma once

#include <optional>
#include <string>

#include "crypto/openssl.hpp"
#include "crypto/trust_policy.hpp"

namespace driverext {

/// "sha256" for NID_sha256; nothing for a digest that no policy accepts.
std::optional<std::string> digest_name(int nid);

/// What of the policy a certificate of the chain breaks, in words; nothing if it breaks nothing.
struct ChainLink {
  X509* certificate = nullptr;
  bool is_signer = false;
  bool is_anchor = false;
};
std::optional<std::string> broken_rule(const CertificateRules& rules, const ChainLink& link);

}  // namespace driverext
