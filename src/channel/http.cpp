#include "channel/http.hpp"

#include <array>
#include <charconv>
#include <optional>

#include "channel/libcurl.hpp"
#include "config.h"

namespace driverext {
namespace {

struct EasyCleanup {
  const LibCurl* curl;
  void operator()(CURL* easy) const { curl->cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyCleanup>;

constexpr long kOk = 200;
constexpr long kPartialContent = 206;
constexpr long kRangeNotSatisfiable = 416;
constexpr long kMaxRedirects = 5;

Error unreachable(const std::string& what) { return make_error(Errc::transient, Reason::channel_unreachable, what); }

// One transfer: what libcurl's callbacks are given.
struct Transfer {
  const LibCurl& curl;
  CURL* easy;
  uint64_t from = 0;
  Sink& sink;
  bool begun = false;
  std::optional<Error> error{};  // why a callback ended it

  // The offset that the server says it sends from.
  [[nodiscard]] Result<uint64_t> offset() const {
    long status = 0;
    curl.getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == kOk) return uint64_t{0};
    if (status != kPartialContent) return unreachable("HTTP " + std::to_string(status));
    // Content-Range: bytes 100-199/200
    curl_header* header = nullptr;
    if (curl.header(easy, "Content-Range", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
      return unreachable("HTTP 206 without Content-Range");
    }
    constexpr std::string_view kUnit = "bytes ";
    std::string_view range = header->value;
    uint64_t first = 0;
    if (range.starts_with(kUnit)) {
      range.remove_prefix(kUnit.size());
      const auto [end, code] = std::from_chars(range.data(), range.data() + range.size(), first);
      if (code == std::errc() && end != range.data() + range.size() && *end == '-') return first;
    }
    return unreachable("HTTP 206 with a Content-Range that is none");
  }

  Result<void> take(ByteSpan bytes) {
    if (!begun) {
      TRY(const uint64_t first, offset());
      if (first != 0 && first != from) return unreachable("the server sends another part than was asked for");
      TRY_VOID(sink.begin(first));
      begun = true;
    }
    return sink.write(bytes);
  }
};

size_t on_bytes(char* bytes, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  Result<void> taken = transfer.take(as_bytes(std::string_view(bytes, size * count)));
  if (taken) return size * count;
  transfer.error = std::move(taken).error();
  return 0;  // libcurl ends the transfer
}

Error describe(const LibCurl& curl, CURL* easy, CURLcode code, const char* detail) {
  long status = 0;
  curl.getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    if (status == kRangeNotSatisfiable) return unreachable("the server's file is shorter than what is here (HTTP 416)");
    return unreachable("HTTP " + std::to_string(status) + (status == 404 ? ", there is no such file" : ""));
  }
  return unreachable(*detail != '\0' ? detail : curl.strerror(code));
}

}  // namespace

struct HttpFetcher::Handle {
  const LibCurl& curl;
  Easy easy;
};

HttpFetcher::HttpFetcher(HttpLimits limits) : limits_(limits) {}

HttpFetcher::~HttpFetcher() = default;

Result<void> HttpFetcher::start() {
  if (handle_) return {};
  TRY(const LibCurl* const curl, load_libcurl());
  Easy easy(curl->init(), EasyCleanup{curl});
  if (!easy) return make_error(Errc::system, "libcurl does not start");
  handle_ = std::make_unique<Handle>(Handle{*curl, std::move(easy)});
  return {};
}

Result<void> HttpFetcher::fetch(const std::string& url, uint64_t from, Sink& sink) {
  TRY_VOID(check_channel_url(url));
  TRY_VOID(start());
  const LibCurl& curl = handle_->curl;
  CURL* easy = handle_->easy.get();
  curl.reset(easy);  // options only: connections stay
  Transfer transfer{curl, easy, from, sink};
  std::array<char, CURL_ERROR_SIZE> detail{};
  const std::string range = std::to_string(from) + "-";
  // A redirect may lead to https, never away from it.
  const char* protocols = url.starts_with("https:") ? "https" : "http,https";
  CURLcode code = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl.setopt(easy, option, value);
  };
  set(CURLOPT_ERRORBUFFER, detail.data());
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, protocols);
  set(CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_USERAGENT, "driverext/" DRIVEREXT_VERSION);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_CONNECTTIMEOUT, limits_.connect_seconds);
  set(CURLOPT_TIMEOUT, limits_.total_seconds);
  set(CURLOPT_LOW_SPEED_LIMIT, limits_.slow_bytes_per_second);
  set(CURLOPT_LOW_SPEED_TIME, limits_.slow_seconds);
  set(CURLOPT_WRITEFUNCTION, &on_bytes);
  set(CURLOPT_WRITEDATA, &transfer);
  // Not CURLOPT_RESUME_FROM: that takes a server which cannot resume for an error, here it begins anew.
  if (from != 0) set(CURLOPT_RANGE, range.c_str());
  if (code != CURLE_OK) return make_error(Errc::system, std::string("libcurl: ") + curl.strerror(code));

  code = curl.perform(easy);
  curl.setopt(easy, CURLOPT_ERRORBUFFER, nullptr);  // it is about to go away
  if (transfer.error) return *std::move(transfer.error);
  if (code != CURLE_OK) return describe(curl, easy, code, detail.data());
  if (!transfer.begun) TRY_VOID(transfer.offset());  // an answer without a body: was it an answer to the question?
  return {};
}

}  // namespace driverext
