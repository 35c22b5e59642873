// Signed statements, and the CMS around them as it is read before anything is trusted.
#include "crypto/signed_content.hpp"
#include "sysext/signature_block.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto statement = parse_statement(input);
  if (statement) require(format_statement(*statement) == input);
  const auto content = unverified_content(as_bytes(input));
  if (content) require(content->size() <= input.size());
  const auto certificates = unverified_certificates(as_bytes(input));
  if (certificates) require(certificates->size() <= 16);
}

std::vector<std::string> seeds() {
  Statement statement{{}, 7, "{\"format\": 1}\n"};
  statement.root_hash.fill(std::byte{0x5c});
  // ContentInfo of SignedData with the content "x", no certificates and no signers.
  static constexpr unsigned char kCms[] = {0x30, 0x28, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
                                           0x07, 0x02, 0xa0, 0x1b, 0x30, 0x19, 0x02, 0x01, 0x01, 0x31, 0x00,
                                           0x30, 0x10, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
                                           0x07, 0x01, 0xa0, 0x03, 0x04, 0x01, 0x78, 0x31, 0x00};
  return {format_statement(statement), std::string(reinterpret_cast<const char*>(kCms), sizeof(kCms))};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(statement, driverext::fuzz::run, driverext::fuzz::seeds)
