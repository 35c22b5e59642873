#include "channel/index.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "sysext/manifest.hpp"

namespace driverext {
namespace {

constexpr uint64_t kFormat = 1;
constexpr size_t kMaxReleases = 1000;
constexpr size_t kMaxImages = 1000;
constexpr uint64_t kLastSecond = 253'402'300'799;  // of the year 9999: fits every type that holds a time
constexpr uint64_t kMaxSerial = uint64_t{1} << 53;

Error invalid(std::string what) { return make_error(Errc::invalid_input, std::move(what)); }

Result<void> check_hash(std::string_view what, std::string_view text) {
  if (text.size() == 64 && from_hex(text)) return {};
  return invalid(std::string(what) + " is not 64 hex digits");
}

// Free text that ends up on terminals.
Result<void> check_printable(std::string_view what, std::string_view text) {
  const bool fine =
      text.size() <= 256 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (fine) return {};
  return invalid(std::string(what) + " is longer than 256 or not printable");
}

Result<uint64_t> bounded_number(const Json& object, std::string_view name, uint64_t least, uint64_t most) {
  TRY(const uint64_t value, json_number(object, name));
  if (value >= least && value <= most) return value;
  return invalid("member \"" + std::string(name) + "\" is " + std::to_string(value) + ", not within " +
                 std::to_string(least) + " to " + std::to_string(most));
}

Result<const Json*> list_of(const Json& object, const char* name, size_t most) {
  if (!object.contains(name) || !object[name].is_array() || object[name].size() > most) {
    return invalid("\"" + std::string(name) + "\" is not a list of at most " + std::to_string(most));
  }
  return &object[name];
}

// An image that loads into a kernel says which; an image to build from says what its manifest says.
bool is_for_one_kernel(std::string_view kind) {
  return kind == kind_name(Kind::modules) || kind == kind_name(Kind::complete) || kind == kind_name(Kind::builder);
}

Result<ChannelImage> parse_image(const Json& object) {
  TRY_VOID(only_members(object, {"kind", "kernelRelease", "architecture", "os", "rootHash", "size", "sha256", "file"}));
  ChannelImage image;
  TRY(image.kind, json_string(object, "kind"));
  TRY_VOID(check_name("kind", image.kind));
  TRY(image.kernel_release, json_optional_string(object, "kernelRelease"));
  if (object.contains("kernelRelease")) TRY_VOID(check_name("kernel release", image.kernel_release));
  if (image.kernel_release.empty() && is_for_one_kernel(image.kind)) {
    return invalid("an image of kind \"" + image.kind + "\" names no kernel release");
  }
  TRY(image.architecture, json_string(object, "architecture"));
  TRY_VOID(check_name("architecture", image.architecture));
  if (!object.contains("os")) return invalid("member \"os\" is missing");
  TRY_VOID(only_members(object["os"], {"id", "versionId"}));
  TRY(image.os_id, json_string(object["os"], "id"));
  TRY_VOID(check_printable("os id", image.os_id));
  TRY(image.os_version_id, json_string(object["os"], "versionId"));
  TRY_VOID(check_printable("os versionId", image.os_version_id));
  TRY(image.root_hash, json_string(object, "rootHash"));
  TRY_VOID(check_hash("rootHash", image.root_hash));
  TRY(image.size, bounded_number(object, "size", 1, kMaxChannelImage));
  TRY(image.sha256, json_string(object, "sha256"));
  TRY_VOID(check_hash("sha256", image.sha256));
  TRY(const std::string file, json_string(object, "file"));
  if (file != image.file()) return invalid("\"file\" is not " + image.file());
  return image;
}

Result<ChannelRelease> parse_release(const Json& object) {
  TRY_VOID(only_members(object, {"release", "driver", "version", "percent", "images"}));
  ChannelRelease release;
  TRY(const std::string number, json_string(object, "release"));
  TRY(release.number, ReleaseNumber::parse(number));
  TRY(release.driver, json_string(object, "driver"));
  TRY_VOID(check_name("driver", release.driver));
  TRY(release.version, json_string(object, "version"));
  TRY_VOID(check_name("version", release.version));
  TRY(const uint64_t percent, json_number(object, "percent"));
  TRY_VOID(check_percent(percent));
  release.percent = static_cast<unsigned>(percent);
  TRY(const Json* images, list_of(object, "images", kMaxImages));
  for (const Json& entry : *images) {
    TRY(ChannelImage image, parse_image(entry));
    release.images.push_back(std::move(image));
  }
  return release;
}

auto place_of(const ChannelImage& image) {
  return std::tie(image.kind, image.kernel_release, image.architecture, image.os_id, image.os_version_id);
}

// Nothing stands there twice, and one file has one size and digest.
Result<void> check_unique(const ChannelIndex& index) {
  std::set<std::pair<std::string_view, ReleaseNumber>> releases;
  std::map<std::string_view, const ChannelImage*> files;
  for (const ChannelRelease& release : index.releases) {
    const std::string name = release.driver + " " + release.number.text();
    if (!releases.emplace(release.driver, release.number).second) return invalid("release " + name + " is there twice");
    std::set<decltype(place_of(release.images.front()))> places;
    for (const ChannelImage& image : release.images) {
      if (!places.insert(place_of(image)).second) {
        return invalid("release " + name + " has two images of kind " + image.kind + " for the same host");
      }
      const auto [known, is_new] = files.emplace(image.root_hash, &image);
      if (!is_new && (known->second->size != image.size || known->second->sha256 != image.sha256)) {
        return invalid(image.file() + " is described in two ways");
      }
    }
  }
  return {};
}

OrderedJson to_json(const ChannelImage& image) {
  OrderedJson object = {{"kind", image.kind}};
  if (!image.kernel_release.empty()) object["kernelRelease"] = image.kernel_release;
  object["architecture"] = image.architecture;
  object["os"] = {{"id", image.os_id}, {"versionId", image.os_version_id}};
  object["rootHash"] = image.root_hash;
  object["size"] = image.size;
  object["sha256"] = image.sha256;
  object["file"] = image.file();
  return object;
}

}  // namespace

std::string ReleaseNumber::text() const {
  return std::to_string(parts[0]) + "." + std::to_string(parts[1]) + "." + std::to_string(parts[2]);
}

Result<ReleaseNumber> ReleaseNumber::next() const {
  ReleaseNumber number = *this;
  if (++number.parts[2] == 0) return invalid("there is no release number after " + text());
  return number;
}

Result<ReleaseNumber> ReleaseNumber::parse(std::string_view text) {
  const auto refuse = [&] {
    return invalid("release \"" + std::string(text.substr(0, 64)) +
                   "\" is not of the form A.B.C (numbers without leading zeros)");
  };
  const std::vector<std::string> fields = split(text, '.');
  ReleaseNumber number;
  if (fields.size() != number.parts.size()) return refuse();
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& field = fields[i];
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), number.parts[i]);
    const bool whole = code == std::errc() && end == field.data() + field.size();
    if (!whole || field != std::to_string(number.parts[i])) return refuse();
  }
  return number;
}

std::string ChannelImage::file() const { return std::string(kImageFolder) + "/" + root_hash + ".raw"; }

bool ChannelImage::same_place(const ChannelImage& other) const { return place_of(*this) == place_of(other); }

const ChannelRelease* ChannelIndex::find(std::string_view driver, const ReleaseNumber& number) const {
  const auto it = std::find_if(releases.begin(), releases.end(), [&](const ChannelRelease& release) {
    return release.driver == driver && release.number == number;
  });
  return it == releases.end() ? nullptr : &*it;
}

const ChannelRelease* ChannelIndex::newest(std::string_view driver) const {
  const ChannelRelease* best = nullptr;
  for (const ChannelRelease& release : releases) {
    if (release.driver == driver && (best == nullptr || release.number > best->number)) best = &release;
  }
  return best;
}

std::vector<std::string> ChannelIndex::drivers() const {
  std::set<std::string> names;
  for (const ChannelRelease& release : releases) names.insert(release.driver);
  return {names.begin(), names.end()};
}

Result<void> check_percent(uint64_t percent) {
  if (percent <= 100) return {};
  return invalid("a rollout is 0 to 100 percent, not " + std::to_string(percent));
}

Result<ChannelIndex> parse_index(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxSignedIndex, .max_depth = 7}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format != kFormat) {
    return make_error(Errc::unsupported,
                      "index format " + std::to_string(format) + " is not one that this driverext knows; update it");
  }
  TRY_VOID(only_members(object, {"format", "channel", "serial", "created", "expires", "releases"}));
  ChannelIndex index;
  TRY(index.channel, json_string(object, "channel"));
  TRY_VOID(check_name("channel", index.channel));
  TRY(index.serial, bounded_number(object, "serial", 1, kMaxSerial));
  TRY(const uint64_t created, bounded_number(object, "created", 0, kLastSecond));
  TRY(const uint64_t expires, bounded_number(object, "expires", created + 1, kLastSecond));
  index.created = static_cast<int64_t>(created);
  index.expires = static_cast<int64_t>(expires);
  TRY(const Json* releases, list_of(object, "releases", kMaxReleases));
  for (const Json& entry : *releases) {
    TRY(ChannelRelease release, parse_release(entry));
    index.releases.push_back(std::move(release));
  }
  TRY_VOID(check_unique(index));
  return index;
}

std::string format_index(const ChannelIndex& index) {
  std::vector<ChannelRelease> sorted = index.releases;
  std::sort(sorted.begin(), sorted.end(), [](const ChannelRelease& a, const ChannelRelease& b) {
    return std::tie(a.driver, a.number) < std::tie(b.driver, b.number);
  });
  OrderedJson releases = OrderedJson::array();
  for (ChannelRelease& release : sorted) {
    std::sort(release.images.begin(), release.images.end(),
              [](const ChannelImage& a, const ChannelImage& b) { return place_of(a) < place_of(b); });
    OrderedJson images = OrderedJson::array();
    for (const ChannelImage& image : release.images) images.push_back(to_json(image));
    releases.push_back({{"release", release.number.text()},
                        {"driver", release.driver},
                        {"version", release.version},
                        {"percent", release.percent},
                        {"images", std::move(images)}});
  }
  const OrderedJson object = {{"format", kFormat},        {"channel", index.channel}, {"serial", index.serial},
                              {"created", index.created}, {"expires", index.expires}, {"releases", releases}};
  return object.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace driverext
