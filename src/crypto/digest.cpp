#include "crypto/digest.hpp"

#include <cstdlib>

#include "crypto/openssl.hpp"

namespace driverext {

struct Sha256::Context {
  openssl::DigestContext evp{EVP_MD_CTX_new()};
  // Fetched once: EVP_sha256() looks the algorithm up anew at every initialisation.
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);

  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_free(algorithm); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  // Fails only when memory is gone or OpenSSL has no SHA-256: nothing can be verified then.
  if (EVP_DigestInit_ex2(context_->evp.get(), context_->algorithm, nullptr) != 1) std::abort();
}

Sha256::~Sha256() = default;

void Sha256::update(ByteSpan bytes) {
  if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1) std::abort();
}

Digest Sha256::finish() {
  Digest digest{};
  unsigned size = 0;
  EVP_MD_CTX* evp = context_->evp.get();
  if (EVP_DigestFinal_ex(evp, reinterpret_cast<unsigned char*>(digest.data()), &size) != 1 ||
      EVP_DigestInit_ex2(evp, context_->algorithm, nullptr) != 1) {
    std::abort();
  }
  return digest;
}

Digest sha256(ByteSpan bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string to_base64(ByteSpan bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  // EVP_EncodeBlock writes a NUL behind the text: std::string has room for exactly that one.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > (size_t{1} << 24)) return std::nullopt;
  size_t padding = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    if (c == '=' && i + 2 >= text.size()) {
      ++padding;
    } else if (!digit || padding != 0) {
      return std::nullopt;
    }
  }
  Bytes bytes(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || static_cast<size_t>(size) < padding) return std::nullopt;
  bytes.resize(static_cast<size_t>(size) - padding);
  // The last digit has bits that mean nothing: only one spelling of them is accepted.
  if (to_base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace driverext
