// Compressed text, as hosts keep it.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>

namespace driverext::test {

inline std::string gzipped(std::string text) {
  constexpr int kGzip = 16;
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("cannot start gzip");
  }
  std::string out(::deflateBound(&stream, static_cast<uLong>(text.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int code = ::deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  ::deflateEnd(&stream);
  if (code != Z_STREAM_END) throw std::runtime_error("cannot compress");
  return out;
}

}  // namespace driverext::test
