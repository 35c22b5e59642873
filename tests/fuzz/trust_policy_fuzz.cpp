// The trust policy file: whatever it says, what it accepts is no weaker than the defaults.
#include <algorithm>

#include "crypto/trust_policy.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

bool is_subset(const std::set<std::string>& part, const std::set<std::string>& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

void run(std::string_view input) {
  const auto policy = parse_trust_policy(input, "policy.toml");
  if (!policy) {
    require(reason_of(policy.error()) == Reason::config_invalid && !policy.error().message().empty());
    return;
  }
  const CertificateRules defaults;
  const CertificateRules& rules = policy->certificates;
  require(!rules.digests.empty() && is_subset(rules.digests, defaults.digests));
  require(is_subset(rules.keys.curves, defaults.keys.curves));
  require(rules.keys.rsa_bits || !rules.keys.curves.empty());
  require(!rules.keys.rsa_bits || *rules.keys.rsa_bits >= kLeastRsaBits);
  for (const auto& [driver, rule] : policy->drivers) {
    require(!driver.empty() && driver.find('/') == std::string::npos);
    for (const std::string& anchor : rule.anchors.value_or(std::vector<std::string>())) {
      require(anchor.find('/') == std::string::npos && (anchor.ends_with(".crt") || anchor.size() == 64));
    }
  }
}

std::vector<std::string> seeds() {
  return {
      "precheck = \"full\"\n[signature]\ndigests = [\"sha384\"]\nextended-key-usage = \"codeSigning\"\nrequire-crl = "
      "true\n"
      "[keys]\nrsa = 3072\nec = [\"P-384\", \"P-521\"]\ned25519 = true\n",
      "[revoked]\nroot-hashes = [\"" + std::string(64, 'a') +
          "\"]\n[driver.gpu]\nminimum-version = \"580.65.06\"\nanchors = [\"vendor.crt\", \"" + std::string(64, 'b') +
          "\"]\n[driver.\"*\"]\nanchors = []\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(trust_policy, driverext::fuzz::run, driverext::fuzz::seeds)
