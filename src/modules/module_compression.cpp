#include "modules/module_compression.hpp"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.hpp"

namespace driverext {
namespace {

// Of the decoder, not of its output: `xz -9` needs 65 MiB.
constexpr uint64_t kMaxDecoderMemory = uint64_t{128} << 20;

// liblzma decodes into a dictionary and copies from there: in pieces that are still in the processor's cache.
constexpr size_t kXzPiece = 8192;
constexpr uint64_t kMaxIndexMemory = uint64_t{1} << 20;
// Modules become three to six times as large; of a file that claims more the room grows as it is needed.
constexpr uint64_t kBelievedRatio = 32;

// The format's own words at the beginning of a file.
constexpr std::string_view kXzMagic(
    "\xfd"
    "7zXZ\0",
    6);
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd");
constexpr std::string_view kGzipMagic("\x1f\x8b");

// Room that grows up to a limit.
class Output {
 public:
  /// `hint` is a guess: sizes that files claim are not believed.
  Output(size_t hint, size_t limit) : limit_(limit) { resize(std::clamp(hint, size_t{64} << 10, limit)); }

  /// Never empty.
  Result<std::span<std::byte>> room() {
    if (bytes_.size == capacity_) {
      if (capacity_ == limit_) {
        return make_error(Errc::invalid_input, "becomes larger than the " + human_size(limit_) + " that are accepted");
      }
      resize(capacity_ > limit_ / 2 ? limit_ : 2 * capacity_);
    }
    return std::span(bytes_.data.get() + bytes_.size, capacity_ - bytes_.size);
  }
  void fill(size_t count) { bytes_.size += count; }
  OwnedBytes take() && { return std::move(bytes_); }

 private:
  void resize(size_t capacity) {
    auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    std::copy_n(bytes_.data.get(), bytes_.size, bigger.get());
    bytes_.data = std::move(bigger);
    capacity_ = capacity;
  }

  OwnedBytes bytes_;
  size_t capacity_ = 0;
  size_t limit_;
};

template <auto End>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    End(object);
  }
};

struct IndexEnd {
  void operator()(lzma_index* index) const { lzma_index_end(index, nullptr); }
};

Error damaged(std::string_view format) {
  return make_error(Errc::invalid_input, "the " + std::string(format) + " data is damaged or cut off");
}

Error trailing(std::string_view format) {
  return make_error(Errc::invalid_input, "something stands behind the end of the " + std::string(format) + " data");
}

// What the index at the end of an .xz file tells of its content's size (xz-file-format.txt, 2.1.2 and 4). Nothing where
// that is not to be read; a wrong one is found when the data are decompressed.
std::optional<uint64_t> claimed_size(ByteSpan file) {
  if (file.size() < 2 * LZMA_STREAM_HEADER_SIZE) return {};
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  const size_t footer = file.size() - LZMA_STREAM_HEADER_SIZE;
  lzma_stream_flags flags{};
  if (lzma_stream_footer_decode(&flags, bytes + footer) != LZMA_OK || flags.backward_size > footer) return {};
  lzma_index* index = nullptr;
  uint64_t memory = kMaxIndexMemory;
  size_t position = footer - flags.backward_size;
  if (lzma_index_buffer_decode(&index, &memory, nullptr, bytes, &position, footer) != LZMA_OK) return {};
  const std::unique_ptr<lzma_index, IndexEnd> end(index);
  return lzma_index_uncompressed_size(index);
}

// An exact room spares copies while it grows. One byte more, so that it is not full before the decoder tells of the
// end.
size_t xz_hint(ByteSpan file, size_t otherwise) {
  const std::optional<uint64_t> claimed = claimed_size(file);
  return claimed && *claimed / kBelievedRatio <= file.size() ? *claimed + 1 : otherwise;
}

Result<OwnedBytes> decompress_xz(ByteSpan file, Output output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMaxDecoderMemory, 0) != LZMA_OK) {
    return make_error(Errc::system, "cannot start the xz decoder");
  }
  const std::unique_ptr<lzma_stream, Deleter<lzma_end>> end(&stream);
  stream.next_in = reinterpret_cast<const uint8_t*>(file.data());
  stream.avail_in = file.size();
  lzma_ret code = LZMA_OK;
  while (code == LZMA_OK) {
    TRY(std::span<std::byte> room, output.room());
    room = room.first(std::min(room.size(), kXzPiece));
    stream.next_out = reinterpret_cast<uint8_t*>(room.data());
    stream.avail_out = room.size();
    code = lzma_code(&stream, LZMA_FINISH);
    output.fill(room.size() - stream.avail_out);
  }
  if (code == LZMA_MEMLIMIT_ERROR) {
    return make_error(Errc::unsupported, "the xz data needs more than " + human_size(kMaxDecoderMemory) +
                                             " to be decompressed; compress it with a smaller dictionary");
  }
  if (code != LZMA_STREAM_END) return damaged("xz");
  if (stream.avail_in != 0) return trailing("xz");
  return std::move(output).take();
}

Result<OwnedBytes> decompress_zstd(ByteSpan file, Output output) {
  const std::unique_ptr<ZSTD_DCtx, Deleter<ZSTD_freeDCtx>> context(ZSTD_createDCtx());
  if (!context) return make_error(Errc::system, "cannot start the zstd decoder");
  ZSTD_inBuffer in = {file.data(), file.size(), 0};
  // Of several frames each ends with 0; the file has to end with one of them.
  size_t code = 1;
  while (code != 0 || in.pos != in.size) {
    TRY(const std::span<std::byte> room, output.room());
    ZSTD_outBuffer out = {room.data(), room.size(), 0};
    const size_t before = in.pos;
    code = ZSTD_decompressStream(context.get(), &out, &in);
    output.fill(out.pos);
    if (ZSTD_isError(code) != 0 || (in.pos == before && out.pos == 0)) return damaged("zstd");
  }
  return std::move(output).take();
}

Result<OwnedBytes> decompress_gzip(ByteSpan file, Output output) {
  constexpr int kGzipOnly = 16;
  z_stream stream{};
  if (::inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) {
    return make_error(Errc::system, "cannot start the gzip decoder");
  }
  const std::unique_ptr<z_stream, Deleter<inflateEnd>> end(&stream);
  // zlib promises not to write to what it reads.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(file.data()));
  stream.avail_in = static_cast<uInt>(file.size());
  int code = Z_OK;
  while (code == Z_OK) {
    TRY(const std::span<std::byte> room, output.room());
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    code = ::inflate(&stream, Z_NO_FLUSH);
    output.fill(room.size() - stream.avail_out);
  }
  if (code != Z_STREAM_END) return damaged("gzip");
  if (stream.avail_in != 0) return trailing("gzip");
  return std::move(output).take();
}

}  // namespace

Compression compression_of(ByteSpan file) {
  const std::string_view head = as_text(file.first(std::min<size_t>(file.size(), kXzMagic.size())));
  if (head.starts_with(kXzMagic)) return Compression::xz;
  if (head.starts_with(kZstdMagic)) return Compression::zstd;
  if (head.starts_with(kGzipMagic)) return Compression::gzip;
  return Compression::none;
}

Result<OwnedBytes> decompress(ByteSpan file, Compression compression, size_t max_size) {
  constexpr size_t kMost = std::numeric_limits<uInt>::max();  // zlib counts no further
  if (file.size() > kMost || max_size > kMost) return make_error(Errc::invalid_input, "larger than 4 GiB");
  const size_t guess = 4 * file.size();
  switch (compression) {
    case Compression::none:
      break;
    case Compression::xz:
      return decompress_xz(file, Output(xz_hint(file, guess), max_size));
    case Compression::zstd: {
      // With room for the whole content libzstd decompresses in one go, without a window of its own.
      const unsigned long long claimed = ZSTD_getFrameContentSize(file.data(), file.size());
      const bool known = claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed != ZSTD_CONTENTSIZE_ERROR;
      return decompress_zstd(file, Output(known ? claimed : guess, max_size));
    }
    case Compression::gzip:
      return decompress_gzip(file, Output(guess, max_size));
  }
  return make_error(Errc::internal, "not compressed");
}

}  // namespace driverext
