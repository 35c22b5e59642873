// HttpFetcher: files from a web server, by libcurl.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "channel/fetcher.hpp"

namespace driverext {

/// Bounds of one transfer; tests have less patience.
struct HttpLimits {
  long connect_seconds = 10;
  long slow_bytes_per_second = 1024;  ///< slower than this ...
  long slow_seconds = 30;             ///< ... for so long: the transfer is given up
  long total_seconds = 0;             ///< the same, however fast it is; 0: as long as it takes. What came is kept
};

/// http and https only, also after redirects, and never from an https address to http. Standard proxy variables count,
/// no other environment or file does. Not for several threads at a time.
class HttpFetcher final : public Fetcher {
 public:
  explicit HttpFetcher(HttpLimits limits = {});
  ~HttpFetcher() override;

  Result<void> fetch(const std::string& url, uint64_t from, Sink& sink) override;

 private:
  struct Handle;
  Result<void> start();

  HttpLimits limits_;
  std::unique_ptr<Handle> handle_;  ///< once something was fetched; kept between files: the same connection serves them
};

}  // namespace driverext
