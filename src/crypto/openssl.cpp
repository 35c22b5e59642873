#include "crypto/openssl.hpp"

#include <openssl/err.h>

#include <array>
#include <ctime>

#include "crypto/digest.hpp"

namespace driverext::openssl {

std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

Bio reader(ByteSpan bytes) { return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

Bytes take_bytes(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  const auto view = as_bytes(std::string_view(data, static_cast<size_t>(size)));
  return {view.begin(), view.end()};
}

std::string fingerprint(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return {};
  const Digest digest = sha256(as_bytes(std::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size))));
  OPENSSL_free(der);
  return to_hex(digest);
}

std::string name_text(const X509_NAME* name) {
  const Bio memory(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253);
  return std::string(as_text(take_bytes(memory.get())));
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(::timegm(&parts)) : 0;
}

}  // namespace driverext::openssl
