// A channel for tests: indexes signed as asked for, and a server that is a map of files and misbehaves on demand.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "channel/fetcher.hpp"
#include "channel/signed_index.hpp"
#include "crypto/digest.hpp"
#include "sample_image.hpp"
#include "verdict.hpp"

namespace driverext::test {

inline constexpr const char* kSampleUrl = "http://channel.test/stable";
inline constexpr int64_t kDay = 24L * 60 * 60;

inline std::string hash_of(std::string_view text) { return to_hex(sha256(as_bytes(text))); }

/// An index entry with made-up hashes: nothing fetches it.
inline ChannelImage sample_entry(const std::string& kernel = kSampleKernel, const std::string& seed = "") {
  ChannelImage image{"modules", kernel, "x86-64", "debian", "12", hash_of("root" + kernel + seed), 4096, ""};
  image.sha256 = hash_of("file" + kernel + seed);
  return image;
}

inline ChannelRelease sample_release(const ReleaseNumber& number, unsigned percent = 100) {
  return {number,
          kSampleDriver,
          "580." + std::to_string(number.parts[1]),
          percent,
          {sample_entry(kSampleKernel, number.text())}};
}

inline ChannelIndex sample_index(std::vector<ChannelRelease> releases = {sample_release({{1, 0, 0}})}) {
  return {"stable", 7, kNow - kDay, kNow + 29 * kDay, std::move(releases)};
}

inline Bytes sign(const ChannelIndex& index, const Identity& signer = publisher()) {
  return must(signer.signing_key().sign_attached(as_bytes(format_index(index))));
}

inline VerifiedIndex verified(const ChannelIndex& index, int64_t now = kNow) {
  return must(VerifiedIndex::verify(sign(index), publisher_only(), now));
}

/// The entry that an index has for this image file.
inline ChannelImage entry_of(const std::string& bytes, const std::string& kernel = kSampleKernel) {
  ChannelImage image = sample_entry(kernel);
  image.root_hash = signature_of(bytes)["rootHash"];
  image.size = bytes.size();
  image.sha256 = hash_of(bytes);
  return image;
}

class FakeServer final : public Fetcher {
 public:
  std::map<std::string, std::string> files;  ///< by URL
  std::optional<uint64_t> cut_after;         ///< every connection ends after so many bytes
  bool can_resume = true;
  std::vector<std::string> requests;  ///< "URL from"

  void put(const std::string& file, std::string_view bytes) { files[url_of(kSampleUrl, file)] = bytes; }

  Result<void> fetch(const std::string& url, uint64_t from, Sink& sink) override {
    requests.push_back(url.substr(url.rfind('/') + 1, 12) + " " + std::to_string(from));
    const auto it = files.find(url);
    if (it == files.end()) return make_error(Errc::transient, Reason::channel_unreachable, "HTTP 404");
    const uint64_t begin = can_resume ? from : 0;
    if (begin > it->second.size()) return make_error(Errc::transient, Reason::channel_unreachable, "HTTP 416");
    std::string_view rest = std::string_view(it->second).substr(begin);
    const bool is_cut = cut_after && *cut_after < rest.size();
    if (is_cut) rest = rest.substr(0, *cut_after);
    TRY_VOID(sink.begin(begin));
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, 1000);
      TRY_VOID(sink.write(as_bytes(part)));
      rest.remove_prefix(part.size());
    }
    if (is_cut) return make_error(Errc::transient, Reason::channel_unreachable, "the connection was cut");
    return {};
  }
};

}  // namespace driverext::test
