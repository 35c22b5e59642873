// What the verbs that change a channel have in common: key, trust, time, and how they are named on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "channel/publisher.hpp"
#include "cli/key_options.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/trust_store.hpp"

namespace driverext::cli {

struct TermsOptions {
  KeyOptions key;
  std::vector<std::string> trust;  ///< more certificates whose signatures are taken over
  uint64_t days = 30;
};

/// Files read, key and certificates parsed. PublishTerms that are made of it live no longer than it does.
struct LoadedTerms {
  SigningKey key;
  TrustStore anchors;
  int64_t now = 0;
  int64_t lifetime = 0;

  [[nodiscard]] PublishTerms terms() const { return {key, anchors, now, lifetime}; }
};
Result<LoadedTerms> load_terms(const TermsOptions& options);

/// A whole number within bounds; nothing else.
std::optional<uint64_t> parse_number(std::string_view text, uint64_t least, uint64_t most);

/// "channel stable, index 7, expires 2027-01-15 08:00 UTC".
std::string describe(const ChannelIndex& index);

inline constexpr uint64_t kMaxDays = 3650;
inline constexpr const char* kDaysError = "--expires takes a number of days from 1 to 3650";
inline constexpr const char* kPercentError = "--percent takes a number from 0 to 100";

}  // namespace driverext::cli
