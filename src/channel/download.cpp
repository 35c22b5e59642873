#include "channel/download.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr size_t kChunk = size_t{1} << 20;

class MemorySink final : public Sink {
 public:
  explicit MemorySink(size_t max_size) : max_size_(max_size) {}

  Result<void> begin(uint64_t /*offset*/) override {
    bytes_.clear();
    return {};
  }
  Result<void> write(ByteSpan bytes) override {
    if (bytes.size() > max_size_ - bytes_.size()) {
      return make_error(Errc::untrusted, "it is larger than the " + human_size(max_size_) + " that are accepted");
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  Bytes take() { return std::move(bytes_); }

 private:
  size_t max_size_;
  Bytes bytes_;
};

class FileSink final : public Sink {
 public:
  explicit FileSink(const DownloadRequest& request) : request_(request) {}

  // Takes in what an earlier download left.
  Result<void> resume() {
    struct stat info {};
    if (::fstat(request_.fd, &info) != 0) return os_failure(errno, "cannot look at " + request_.what);
    const auto there = static_cast<uint64_t>(info.st_size);
    if (there > request_.size) return truncate();
    Bytes chunk(std::min<uint64_t>(kChunk, there));
    while (done_ < there) {
      const auto part = std::span(chunk).first(std::min<uint64_t>(chunk.size(), there - done_));
      TRY_VOID(read_exactly(request_.fd, part, done_, request_.what));
      hash_.update(part);
      done_ += part.size();
    }
    resumed_from_ = done_;
    told_ = done_;
    return {};
  }

  Result<void> begin(uint64_t offset) override {
    if (offset == done_) return {};
    if (offset == 0) return truncate();
    return make_error(Errc::transient, Reason::channel_unreachable,
                      "the server sends from byte " + std::to_string(offset) + ", not from " + std::to_string(done_));
  }

  Result<void> write(ByteSpan bytes) override {
    if (bytes.size() > request_.size - done_) {
      return make_error(
          Errc::untrusted, Reason::data_corrupt,
          "the server sends more than the " + std::to_string(request_.size) + " bytes that the signed index promises");
    }
    TRY_VOID(write_exactly(request_.fd, bytes, done_, request_.what));
    hash_.update(bytes);
    done_ += bytes.size();
    // Bytes come in pieces of a few KiB; whoever is told writes to a terminal or a journal.
    const bool worth_telling = done_ == request_.size || done_ - told_ >= std::max(kChunk, request_.size / 100);
    if (request_.progress && worth_telling) {
      request_.progress(done_, request_.size);
      told_ = done_;
    }
    return {};
  }

  [[nodiscard]] uint64_t done() const { return done_; }
  [[nodiscard]] uint64_t resumed_from() const { return resumed_from_; }
  Digest finish() { return hash_.finish(); }

 private:
  Result<void> truncate() {
    if (::ftruncate(request_.fd, 0) != 0) return os_failure(errno, "cannot empty " + request_.what);
    (void)hash_.finish();
    done_ = 0;
    resumed_from_ = 0;
    told_ = 0;
    return {};
  }

  const DownloadRequest& request_;
  Sha256 hash_;
  uint64_t done_ = 0;
  uint64_t resumed_from_ = 0;
  uint64_t told_ = 0;
};

}  // namespace

Result<Bytes> download_to_memory(Fetcher& fetcher, const std::string& url, size_t max_size) {
  MemorySink sink(max_size);
  TRY_VOID(fetcher.fetch(url, 0, sink).with_context(url));
  return sink.take();
}

Result<Downloaded> download_to_file(Fetcher& fetcher, const DownloadRequest& request) {
  FileSink sink(request);
  TRY_VOID(sink.resume());
  if (sink.done() < request.size) {
    TRY_VOID(fetcher.fetch(request.url, sink.done(), sink).with_context(request.url));
  }
  // A connection that was cut looks like an end where the server named no length.
  if (sink.done() < request.size) {
    return make_error(Errc::transient, Reason::channel_unreachable,
                      request.url + ": it ended after " + std::to_string(sink.done()) + " of " +
                          std::to_string(request.size) + " bytes");
  }
  TRY_VOID(sync_file(request.fd, request.what));
  return Downloaded{sink.finish(), sink.resumed_from()};
}

}  // namespace driverext
