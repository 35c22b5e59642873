#include "cli/channel_terms.hpp"

#include <charconv>
#include <ctime>

#include "base/text.hpp"
#include "channel/signed_index.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr int64_t kSecondsPerDay = 24L * 60 * 60;

}  // namespace

Result<LoadedTerms> load_terms(const TermsOptions& options) {
  TRY(SigningKey key, load_signing_key(options.key));
  TrustStore anchors;
  TRY_VOID(anchors.add_pem(key.certificate_pem(), options.key.certificate));
  for (const std::string& path : options.trust) {
    TRY(const std::string pem, read_argument_file(path, kMaxPem));
    TRY_VOID(anchors.add_pem(pem, path));
  }
  return LoadedTerms{std::move(key), std::move(anchors), static_cast<int64_t>(::time(nullptr)),
                     static_cast<int64_t>(options.days) * kSecondsPerDay};
}

std::optional<uint64_t> parse_number(std::string_view text, uint64_t least, uint64_t most) {
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::string describe(const ChannelIndex& index) {
  return "channel " + index.channel + ", index " + std::to_string(index.serial) + ", expires " +
         utc_text(index.expires);
}

}  // namespace driverext::cli
