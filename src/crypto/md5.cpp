#include "crypto/md5.hpp"

#include <array>
#include <cstdlib>

#include "crypto/openssl.hpp"

namespace driverext {

struct Md5::Context {
  openssl::DigestContext evp{EVP_MD_CTX_new()};
};

Md5::Md5(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Md5::Md5(Md5&& other) noexcept : context_(std::move(other.context_)) {}
Md5::~Md5() = default;

Result<Md5> Md5::start() {
  auto context = std::make_unique<Context>();
  if (EVP_DigestInit_ex2(context->evp.get(), EVP_md5(), nullptr) != 1) {
    return make_error(Errc::unsupported, "this OpenSSL does no MD5: " + openssl::last_error());
  }
  return Md5(std::move(context));
}

void Md5::update(ByteSpan bytes) {
  if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1) std::abort();
}

std::string Md5::finish() {
  std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_->evp.get(), reinterpret_cast<unsigned char*>(digest.data()), &size) != 1) {
    std::abort();
  }
  return to_hex(ByteSpan(digest).first(size));
}

}  // namespace driverext
