// Base64 and hexadecimal: each value has one spelling.
#include "crypto/digest.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  if (const auto bytes = from_base64(input)) require(to_base64(*bytes) == input);
  if (const auto bytes = from_hex(input)) require(to_hex(*bytes) == input);
  const auto again = from_base64(to_base64(as_bytes(input)));
  require(again && as_text(*again) == input);
}

std::vector<std::string> seeds() { return {"", "Zg==", "Zm8=", "Zm9vYmFy", "00ff", std::string(64, 'a')}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(base64, driverext::fuzz::run, driverext::fuzz::seeds)
