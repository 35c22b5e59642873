// Compressed module files: .ko.xz, .ko.zst, .ko.gz. Distributions compress what they ship; which way is told by the
// first bytes of the file, as the kernel and kmod do, never by its name.
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

enum class Compression { none, xz, zstd, gzip };
Compression compression_of(ByteSpan file);

/// Bytes in memory that nobody cleared before they were written: modules have tens of megabytes.
struct OwnedBytes {
  std::unique_ptr<std::byte[]> data;
  size_t size = 0;

  [[nodiscard]] ByteSpan span() const { return {data.get(), size}; }
};

/// `compression` is not `none`. Errors: Errc::invalid_input if the file is damaged, cut off, has something behind its
/// end, or becomes larger than `max_size` bytes.
Result<OwnedBytes> decompress(ByteSpan file, Compression compression, size_t max_size);

}  // namespace driverext
