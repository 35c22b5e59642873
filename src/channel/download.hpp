// Downloads: a small file into memory, a big one into an open file, each bounded by a size that is known before.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "channel/fetcher.hpp"
#include "crypto/digest.hpp"

namespace driverext {

/// Bytes that are there, and bytes that there will be. Told every percent, but not for less than 1 MiB, and at the end.
using DownloadProgress = std::function<void(uint64_t done, uint64_t total)>;

/// Errors: as Fetcher::fetch; Errc::untrusted if there are more than `max_size` bytes.
Result<Bytes> download_to_memory(Fetcher& fetcher, const std::string& url, size_t max_size);

struct DownloadRequest {
  std::string url;
  int fd = -1;        ///< open for reading and writing; what it holds is taken for the file's beginning
  std::string what;   ///< the file's name, for messages
  uint64_t size = 0;  ///< of the whole file
  DownloadProgress progress;
};

struct Downloaded {
  Digest sha256{};
  /// Bytes that were in the file before: if the digest is wrong, they may be to blame, not the server.
  uint64_t resumed_from = 0;
};

/// Leaves exactly `size` bytes in the file, on disk. Errors: as Fetcher::fetch, also if the file ends early (what came
/// stays, to be resumed); Errc::untrusted, Reason::data_corrupt if there are more than `size` bytes.
Result<Downloaded> download_to_file(Fetcher& fetcher, const DownloadRequest& request);

}  // namespace driverext
