// MD5, by OpenSSL: only to notice damage in archives that state nothing better. It says nothing of who made them.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

class Md5 {
 public:
  /// Errors: Errc::unsupported where OpenSSL is told to do without it (FIPS).
  static Result<Md5> start();
  Md5(Md5&&) noexcept;
  Md5& operator=(Md5&&) = delete;
  Md5(const Md5&) = delete;
  Md5& operator=(const Md5&) = delete;
  ~Md5();

  void update(ByteSpan bytes);
  /// The digest in hex. The object is used up.
  std::string finish();

 private:
  struct Context;
  explicit Md5(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

}  // namespace driverext
