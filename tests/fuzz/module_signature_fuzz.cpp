// Signatures behind kernel modules.
#include "modules/module_signature.hpp"

#include "crypto/key_generation.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto signature = read_module_signature(as_bytes(input));
  if (!signature || !*signature) return;
  require((*signature)->size > 40 && (*signature)->size < input.size());
  require((*signature)->signer.size() <= 4 * input.size() && (*signature)->key_id.size() <= 3 * input.size());
}

std::vector<std::string> seeds() {
  const auto made = generate_key({.common_name = "fuzz"});
  require(static_cast<bool>(made));
  const auto key = SigningKey::from_pem(made->key_pem, made->certificate_pem);
  require(static_cast<bool>(key));
  const std::string module = "module";
  const auto signature = make_module_signature(as_bytes(module), *key, SignatureHash::sha256);
  require(static_cast<bool>(signature));
  return {module + std::string(as_text(*signature))};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(module_signature, driverext::fuzz::run, driverext::fuzz::seeds)
