#include "crypto/trust_policy.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "crypto/openssl.hpp"
#include "sys/toml_file.hpp"

namespace driverext {
namespace {

constexpr std::string_view kEveryOther = "*";
constexpr unsigned kMostRsaBits = 16384;  // OpenSSL verifies with none that is larger

// A list that is there but empty would accept nothing at all, which nobody means.
Result<std::set<std::string>> choice_of(const toml::table& table, std::string_view key,
                                        const std::set<std::string>& known, std::string_view file) {
  if (!table.contains(key)) return known;
  TRY(const std::vector<std::string> names, toml_strings(table, key, file));
  std::string offered;
  for (const std::string& name : known) offered += (offered.empty() ? "" : ", ") + name;
  const auto refused = [&](const std::string& what) {
    return config_error(file, table.get(key)->source(), "\"" + std::string(key) + "\" " + what + offered);
  };
  if (names.empty()) return refused("is empty; it takes ");
  for (const std::string& name : names) {
    if (!known.contains(name)) return refused("has \"" + name + "\"; it takes ");
  }
  return std::set<std::string>(names.begin(), names.end());
}

// The dotted number of a usage that OpenSSL knows by name, or that is one already.
Result<std::string> object_identifier(const toml::table& table, std::string_view key, std::string_view file) {
  TRY(const std::string name, toml_string(table, key, file));
  const std::unique_ptr<ASN1_OBJECT, openssl::Deleter<ASN1_OBJECT_free>> object(OBJ_txt2obj(name.c_str(), 0));
  std::array<char, 128> text{};
  const int size = object ? OBJ_obj2txt(text.data(), text.size(), object.get(), 1) : 0;
  if (size <= 0 || static_cast<size_t>(size) >= text.size()) {
    return config_error(file, table.get(key)->source(),
                        "\"" + name + "\" is no key usage; name one like codeSigning, or an object identifier");
  }
  return std::string(text.data(), static_cast<size_t>(size));
}

Result<void> read_signature(const toml::table& table, std::string_view file, CertificateRules& rules,
                            TrustPolicy::Stated& stated) {
  TRY_VOID(only_keys(table, {"digests", "extended-key-usage", "require-crl"}, file));
  TRY(rules.digests, choice_of(table, "digests", rules.digests, file));
  stated.digests = table.contains("digests");
  if (table.contains("extended-key-usage")) {
    stated.extended_key_usage = true;
    TRY(rules.extended_key_usage, object_identifier(table, "extended-key-usage", file));
  }
  TRY(const bool required, toml_bool(table, "require-crl", false, file));
  rules.crl = required ? CrlRule::required : CrlRule::if_there;
  return {};
}

// Named are the kinds of key that are accepted; what is not named is not.
Result<void> read_keys(const toml::table& table, std::string_view file, KeyRules& rules) {
  TRY_VOID(only_keys(table, {"rsa", "ec", "ed25519"}, file));
  const std::set<std::string> curves = rules.curves;
  rules = {std::nullopt, {}, false};
  if (const toml::node* bits = table.get("rsa")) {
    const auto number = bits->is_integer() ? bits->value<int64_t>() : std::nullopt;
    if (!number || *number < kLeastRsaBits || *number > kMostRsaBits) {
      return config_error(file, bits->source(),
                          "\"rsa\" is not a number of bits between " + std::to_string(kLeastRsaBits) + " and " +
                              std::to_string(kMostRsaBits));
    }
    rules.rsa_bits = static_cast<unsigned>(*number);
  }
  if (table.contains("ec")) {
    TRY(rules.curves, choice_of(table, "ec", curves, file));
  }
  TRY(rules.ed25519, toml_bool(table, "ed25519", false, file));
  if (!rules.rsa_bits && rules.curves.empty()) {
    return config_error(file, table.source(), "[keys] accepts no key that can sign; name rsa, ec or both");
  }
  return {};
}

Result<void> read_revoked(const toml::table& table, std::string_view file, std::set<Digest>& root_hashes) {
  TRY_VOID(only_keys(table, {"root-hashes"}, file));
  TRY(const std::vector<std::string> names, toml_strings(table, "root-hashes", file));
  for (const std::string& name : names) {
    const std::optional<Bytes> bytes = from_hex(name);
    Digest digest{};
    if (!bytes || bytes->size() != digest.size()) {
      return config_error(file, table.source(), "\"" + name + "\" is no root hash; it has 64 hex digits");
    }
    std::copy(bytes->begin(), bytes->end(), digest.begin());
    root_hashes.insert(digest);
  }
  return {};
}

// A file name as it is, a fingerprint as 64 hex digits; openssl x509 -fingerprint prints them with colons.
Result<std::string> anchor_name(const std::string& text) {
  if (text.ends_with(".crt")) {
    TRY_VOID(check_name("trust anchor", text));
    return text;
  }
  std::string digits;
  for (const char c : text) {
    if (c != ':') digits += c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const std::optional<Bytes> bytes = from_hex(digits);
  if (bytes && bytes->size() == sizeof(Digest)) return to_hex(*bytes);
  return make_error(Errc::invalid_input,
                    "\"" + text + "\" is neither the name of a *.crt file nor a SHA-256 fingerprint");
}

Result<DriverRules> read_driver(const toml::table& table, std::string_view driver, std::string_view file) {
  TRY_VOID(only_keys(table, {"minimum-version", "anchors"}, file));
  DriverRules rules;
  TRY(rules.minimum_version, toml_optional_string(table, "minimum-version", file));
  if (table.contains("minimum-version")) {
    const toml::source_region& where = table.get("minimum-version")->source();
    if (driver == kEveryOther) return config_error(file, where, "each driver has versions of its own: name the driver");
    if (!is_dotted_number(rules.minimum_version)) {
      return config_error(file, where, "\"minimum-version\" is not made of numbers with dots between them");
    }
  }
  if (!table.contains("anchors")) return rules;
  TRY(const std::vector<std::string> names, toml_strings(table, "anchors", file));
  rules.anchors.emplace();
  for (const std::string& name : names) {
    Result<std::string> anchor = anchor_name(name);
    if (!anchor) return config_error(file, table.get("anchors")->source(), anchor.error().what);
    rules.anchors->push_back(*std::move(anchor));
  }
  return rules;
}

Result<void> read_drivers(const toml::table& table, std::string_view file, TrustPolicy& policy) {
  for (const auto& [key, value] : table) {
    const std::string driver(key.str());
    const toml::table* rules = value.as_table();
    if (rules == nullptr) return config_error(file, value.source(), "\"" + driver + "\" is not a table");
    if (driver != kEveryOther) {
      const Result<void> fine = check_name("driver name", driver);
      if (!fine) return config_error(file, value.source(), fine.error().what);
    }
    TRY(policy.drivers[driver], read_driver(*rules, driver, file));
  }
  return {};
}

Result<void> read_precheck(const toml::table& table, std::string_view file, Precheck& precheck) {
  if (!table.contains("precheck")) return {};
  TRY(const std::string word, toml_string(table, "precheck", file));
  const bool full = std::string_view(word) == "full";
  if (!full && std::string_view(word) != "tree") {
    return config_error(file, table.get("precheck")->source(), "\"precheck\" is either \"tree\" or \"full\"");
  }
  precheck = full ? Precheck::full : Precheck::tree;
  return {};
}

}  // namespace

DriverRules TrustPolicy::rules_for(const std::string& driver) const {
  const auto own = drivers.find(driver);
  DriverRules rules = own == drivers.end() ? DriverRules{} : own->second;
  const auto every = drivers.find(std::string(kEveryOther));
  if (!rules.anchors && every != drivers.end()) rules.anchors = every->second.anchors;
  return rules;
}

void TrustPolicy::add_refusals_of(const TrustPolicy& other) {
  revoked_root_hashes.insert(other.revoked_root_hashes.begin(), other.revoked_root_hashes.end());
  for (const auto& [driver, rules] : other.drivers) {
    if (rules.minimum_version.empty()) continue;
    std::string& minimum = drivers[driver].minimum_version;
    // Both begin with numbers, or the file would not have been read.
    if (minimum.empty() || compare_versions(minimum, rules.minimum_version) < 0) minimum = rules.minimum_version;
  }
  if (other.certificates.crl == CrlRule::required) certificates.crl = CrlRule::required;
  if (other.precheck == Precheck::full) precheck = Precheck::full;
}

void TrustPolicy::inherit(const TrustPolicy& other) {
  add_refusals_of(other);
  if (!std::exchange(stated.digests, stated.digests || other.stated.digests)) {
    certificates.digests = other.certificates.digests;
  }
  if (!std::exchange(stated.extended_key_usage, stated.extended_key_usage || other.stated.extended_key_usage)) {
    certificates.extended_key_usage = other.certificates.extended_key_usage;
  }
  if (!std::exchange(stated.keys, stated.keys || other.stated.keys)) certificates.keys = other.certificates.keys;
  // Who says whom every driver may be signed by has not left open who may sign one of them.
  const auto every = drivers.find(std::string(kEveryOther));
  if (every != drivers.end() && every->second.anchors) return;
  for (const auto& [driver, rules] : other.drivers) {
    std::optional<std::vector<std::string>>& anchors = drivers[driver].anchors;
    if (!anchors) anchors = rules.anchors;
  }
}

TrustPolicy TrustPolicy::for_own_key() const {
  TrustPolicy own = *this;
  own.certificates = {};
  for (auto& [driver, rules] : own.drivers) rules.anchors.reset();
  return own;
}

Result<TrustPolicy> parse_trust_policy(std::string_view text, std::string_view file) {
  TRY(const toml::table table, parse_toml(text, file));
  TRY_VOID(only_keys(table, {"precheck", "signature", "keys", "revoked", "driver"}, file));
  TrustPolicy policy;
  TRY_VOID(read_precheck(table, file, policy.precheck));
  TRY(const toml::table* signature, toml_table(table, "signature", file));
  if (signature != nullptr) TRY_VOID(read_signature(*signature, file, policy.certificates, policy.stated));
  TRY(const toml::table* keys, toml_table(table, "keys", file));
  if (keys != nullptr) TRY_VOID(read_keys(*keys, file, policy.certificates.keys));
  policy.stated.keys = keys != nullptr;
  TRY(const toml::table* revoked, toml_table(table, "revoked", file));
  if (revoked != nullptr) TRY_VOID(read_revoked(*revoked, file, policy.revoked_root_hashes));
  TRY(const toml::table* drivers, toml_table(table, "driver", file));
  if (drivers != nullptr) TRY_VOID(read_drivers(*drivers, file, policy));
  return policy;
}

}  // namespace driverext
