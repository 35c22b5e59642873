#include "acquire/node_key.hpp"

#include "provisioner/inventory.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxPem = 65536;
constexpr const char* kKeyFile = "/node.key";
constexpr const char* kCertificateFile = "/node.crt";

}  // namespace

Result<SigningKey> open_node_key(const Dir& root) {
  const std::string folder(kNodeKeys);
  TRY(const auto key, root.read_if_there(folder + kKeyFile, kMaxPem));
  TRY(const auto certificate, root.read_if_there(folder + kCertificateFile, kMaxPem));
  if (key && certificate) {
    return SigningKey::from_pem(*key, *certificate).with_context("the node's own key in " + root.path_of(folder));
  }
  TRY(const SigningKey::Pem pem, SigningKey::generate("driverext node key"));
  TRY_VOID(root.make_dirs(folder, 0700));
  // The key first: without it the certificate is worth nothing, and would be found at the next need.
  TRY_VOID(root.write_atomic(folder + kKeyFile, pem.key, 0600));
  TRY_VOID(root.write_atomic(folder + kCertificateFile, pem.certificate, 0644));
  return SigningKey::from_pem(pem.key, pem.certificate);
}

}  // namespace driverext
