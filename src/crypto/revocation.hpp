// Certificate revocation lists (RFC 5280 section 5) that lie beside the trust anchors. Included by the source files of
// this folder only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/openssl.hpp"

namespace driverext {

class RevocationLists {
 public:
  /// PEM with one list or more, or one in DER. Errors: Reason::config_invalid that names `origin`; also for a list with
  /// a critical extension (delta, indirect or partial): what it leaves out would be taken for good.
  Result<void> add(ByteSpan file, std::string_view origin);
  [[nodiscard]] bool empty() const { return lists_.empty(); }

  enum class Answer {
    not_listed,  ///< by a list of its issuer that has not run out at that time
    uncovered,   ///< there is no such list; one that has run out does not list it
    listed,
    damaged,  ///< a list of its issuer is not as the issuer signed it
  };
  /// `issuer` is nullptr if its certificate is not known: then a list is believed for the folder that it is in.
  /// A revocation never runs out: it counts in every list of the issuer, however old. Whose validity has begun is not
  /// asked, since the clock may be behind.
  [[nodiscard]] Answer ask(X509* certificate, X509* issuer, int64_t time) const;

 private:
  std::vector<openssl::Crl> lists_;
};

}  // namespace driverext
