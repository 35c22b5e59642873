// SHA-256 and base64, by OpenSSL.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace driverext {

using Digest = std::array<std::byte, 32>;

/// SHA-256 over the pieces, one after the other.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(ByteSpan bytes);
  /// The digest; the object then starts anew.
  Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest sha256(ByteSpan bytes);

std::string to_base64(ByteSpan bytes);
/// Strict: no white space, right padding; anything else is nothing.
std::optional<Bytes> from_base64(std::string_view text);

}  // namespace driverext
