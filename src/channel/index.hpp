// The channel's index: which releases there are, what images each holds, how far each is rolled out.
//
// Only data here; signed_index.hpp says whether it may be believed. The format is in docs/channel.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace driverext {

/// Both bound what a node reads before it knows who wrote it.
constexpr size_t kMaxSignedIndex = size_t{1} << 20;
constexpr uint64_t kMaxChannelImage = uint64_t{64} << 30;

constexpr std::string_view kIndexFile = "index.cms";
constexpr std::string_view kImageFolder = "images";

/// "A.B.C": three decimal numbers without leading zeros, ordered by number.
struct ReleaseNumber {
  std::array<uint32_t, 3> parts{};

  bool operator==(const ReleaseNumber&) const = default;
  bool operator<(const ReleaseNumber& other) const { return parts < other.parts; }
  bool operator>(const ReleaseNumber& other) const { return other < *this; }
  [[nodiscard]] std::string text() const;
  /// The next one in the last place.
  [[nodiscard]] Result<ReleaseNumber> next() const;
  static Result<ReleaseNumber> parse(std::string_view text);
};

struct ChannelImage {
  std::string kind;            ///< a name, not an enum: a node passes over the kinds that it does not know
  std::string kernel_release;  ///< empty: for every kernel
  std::string architecture;    ///< as systemd spells it
  std::string os_id;
  std::string os_version_id;
  std::string root_hash;  ///< hex
  uint64_t size = 0;      ///< of the file
  std::string sha256;     ///< of the file, hex

  /// Where it stands in the channel's directory.
  [[nodiscard]] std::string file() const;
  /// Both are for the same host; a release holds only one such image.
  [[nodiscard]] bool same_place(const ChannelImage& other) const;
  bool operator==(const ChannelImage&) const = default;
};

struct ChannelRelease {
  ReleaseNumber number;
  std::string driver;
  std::string version;  ///< the driver's
  unsigned percent = 0;
  std::vector<ChannelImage> images;
};

struct ChannelIndex {
  std::string channel;
  uint64_t serial = 0;
  int64_t created = 0;  ///< seconds since 1970
  int64_t expires = 0;  ///< seconds since 1970; from then on it is refused
  std::vector<ChannelRelease> releases;

  [[nodiscard]] const ChannelRelease* find(std::string_view driver, const ReleaseNumber& number) const;
  /// The release of this driver with the highest number; none if it has no release.
  [[nodiscard]] const ChannelRelease* newest(std::string_view driver) const;
  /// Names of the drivers, sorted.
  [[nodiscard]] std::vector<std::string> drivers() const;
};

/// Strict. Errors: Errc::invalid_input; Errc::unsupported for a newer format.
Result<ChannelIndex> parse_index(std::string_view text);
/// Equal indexes have equal bytes, whatever the order of their releases and images.
std::string format_index(const ChannelIndex& index);

/// The names that a channel, a driver and an image may have are those of check_name.
Result<void> check_percent(uint64_t percent);

}  // namespace driverext
