// Signature partitions.
#include "sysext/signature_block.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto block = parse_signature_block(as_bytes(input));
  if (!block) {
    require(block.error().code == Errc::untrusted && block.error().reason.has_value());
    return;
  }
  require(block->signature.empty() || block->manifest.empty());
  const std::string again = format_signature_block(*block);
  const auto reread = parse_signature_block(as_bytes(again));
  require(reread && reread->root_hash == block->root_hash && reread->signature == block->signature &&
          reread->statement == block->statement && reread->manifest == block->manifest);
}

std::vector<std::string> seeds() {
  SignatureBlock signed_block;
  signed_block.root_hash.fill(std::byte{0xab});
  signed_block.certificate_fingerprint = std::string(64, 'c');
  signed_block.signature = Bytes(100, std::byte{1});
  signed_block.statement = Bytes(101, std::byte{2});
  std::string padded = format_signature_block(signed_block);
  padded.resize(4096, '\0');
  SignatureBlock foreign = signed_block;
  foreign.statement.clear();
  SignatureBlock unsigned_block;
  unsigned_block.manifest = "{\"format\": 1}\n";
  return {padded, format_signature_block(foreign), format_signature_block(unsigned_block)};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(signature_block, driverext::fuzz::run, driverext::fuzz::seeds)
