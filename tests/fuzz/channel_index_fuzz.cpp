// The channel's index, and what a node remembers of channels.
#include "base/bytes.hpp"
#include "channel/index.hpp"
#include "channel/seen.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  if (const auto seen = parse_seen(input)) {
    const auto again = parse_seen(format_seen(*seen));
    require(again && again->channels == seen->channels);
  }
  const auto index = parse_index(input);
  if (!index) return;
  require(index->expires > index->created && index->serial > 0);
  for (const ChannelRelease& release : index->releases) {
    require(release.percent <= 100);
    // What stands in here becomes a part of a URL and of a file name.
    for (const ChannelImage& image : release.images) require(image.root_hash.size() == 64 && from_hex(image.root_hash));
  }
  const std::string text = format_index(*index);
  const auto again = parse_index(text);
  require(again && format_index(*again) == text);
}

std::vector<std::string> seeds() {
  const std::string hash(64, 'a');
  const ChannelImage image{"modules", "6.1", "x86-64", "flatcar", "4081", hash, 4096, hash};
  ChannelIndex index{"stable", 7, 1'700'000'000, 1'800'000'000, {{{{1, 2, 3}}, "nvidia", "580.1", 10, {image}}}};
  index.releases[0].images.push_back({"source", "", "x86-64", "flatcar", "4081", std::string(64, 'b'), 1, hash});
  return {format_index(index), format_seen({{{"stable", {7, hash}}}})};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(channel_index, driverext::fuzz::run, driverext::fuzz::seeds)
