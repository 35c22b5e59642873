// The trust policy: what a node asks of signatures, certificates and images beyond a chain to a trust anchor.
//
// It can only make things stricter than they are without one: no setting accepts an unsigned image, and none goes below
// what the defaults here refuse. The file's format is in docs/trust.md.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "crypto/digest.hpp"

namespace driverext {

/// In the folders of trust anchors.
constexpr std::string_view kTrustPolicyFile = "policy.toml";

/// No policy accepts RSA keys of fewer bits: they have 112 bits of security.
constexpr unsigned kLeastRsaBits = 2048;

struct KeyRules {
  std::optional<unsigned> rsa_bits = kLeastRsaBits;            ///< the least; none: no RSA key is accepted
  std::set<std::string> curves = {"P-256", "P-384", "P-521"};  ///< NIST's names
  /// For certificates that issue others: OpenSSL 3.0 neither makes nor reads a CMS that such a key signed.
  bool ed25519 = true;
};

enum class CrlRule {
  if_there,  ///< what a list beside the anchors revokes is revoked; without a list nothing is
  required,  ///< and each certificate that an anchor issued needs a list that has not run out
};

struct CertificateRules {
  std::set<std::string> digests = {"sha256", "sha384", "sha512"};
  KeyRules keys;
  /// Object identifier that the signer's certificate must name. Empty: a certificate that names any must name code
  /// signing.
  std::string extended_key_usage;
  CrlRule crl = CrlRule::if_there;
};

struct DriverRules {
  std::string minimum_version;                      ///< empty: any
  std::optional<std::vector<std::string>> anchors;  ///< file names (*.crt) and SHA-256 fingerprints; none: every anchor
};

/// How much of an image is read before it is attached.
enum class Precheck { tree, full };

struct TrustPolicy {
  CertificateRules certificates;
  std::set<Digest> revoked_root_hashes;
  std::map<std::string, DriverRules> drivers;  ///< by driver; "*": the anchors of every driver that names none
  Precheck precheck = Precheck::tree;

  /// What the file says itself: the rest are defaults, in whose place another policy's rule may be taken over.
  struct Stated {
    bool digests = false;
    bool extended_key_usage = false;
    bool keys = false;  ///< [keys] as a whole: it names all kinds that are accepted
  };
  Stated stated;

  /// A table for one driver must not open it to anchors that "*" shuts out, so it inherits what it does not say.
  [[nodiscard]] DriverRules rules_for(const std::string& driver) const;
  /// Takes over what `other` refuses beyond doubt: revoked root hashes, versions below its minimum, signers without a
  /// revocation list if it requires one, and its full precheck. Its other rules, on who signs how, are not taken over.
  void add_refusals_of(const TrustPolicy& other);
  /// Takes over those too that are not stated here. Anchors count as stated for every driver once "*" has some here.
  void inherit(const TrustPolicy& other);
  /// What of it holds for what the node itself signed: all but the rules on who signs and with what key.
  [[nodiscard]] TrustPolicy for_own_key() const;
};

/// `file` is only named in messages. Errors: Reason::config_invalid, with file and line.
Result<TrustPolicy> parse_trust_policy(std::string_view text, std::string_view file);

}  // namespace driverext
