// Fetcher: gets a file from a server, byte by byte into a sink. One implementation speaks HTTP; tests bring their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

/// Where the bytes of a file go, in order. An error ends the transfer and is what the fetch returns.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;

  /// Comes before the first byte: where it belongs. That is what was asked for, or 0 from a server that cannot resume.
  virtual Result<void> begin(uint64_t offset) = 0;
  virtual Result<void> write(ByteSpan bytes) = 0;
};

class Fetcher {
 public:
  Fetcher() = default;
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;
  virtual ~Fetcher() = default;

  /// The file from byte `from` to its end. Errors: the sink's own; Errc::transient with Reason::channel_unreachable if
  /// the server cannot be asked, has not got the file, or stops in its midst. What came before an error stays.
  virtual Result<void> fetch(const std::string& url, uint64_t from, Sink& sink) = 0;
};

/// http or https, a host, no user name, query or fragment, at most 2048 printable characters.
/// Errors: Reason::config_invalid.
Result<void> check_channel_url(std::string_view url);
/// The address of a file of the channel at `url`.
std::string url_of(std::string_view url, std::string_view file);

}  // namespace driverext
