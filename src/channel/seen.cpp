#include "channel/seen.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

namespace driverext {
namespace {

Error rolled_back(const ChannelIndex& index, const std::string& what) {
  return make_error(Errc::untrusted, Reason::index_rolled_back,
                    "index " + std::to_string(index.serial) + " of channel " + index.channel + " " + what);
}

}  // namespace

Result<Seen> parse_seen(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxSeenSize, .max_depth = 4}));
  TRY_VOID(only_members(object, {"format", "channels"}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format != 1) return make_error(Errc::unsupported, "format " + std::to_string(format) + " is not handled");
  if (!object.contains("channels") || !object["channels"].is_object()) {
    return make_error(Errc::invalid_input, "\"channels\" is not an object");
  }
  Seen seen;
  for (const auto& item : object["channels"].items()) {
    TRY_VOID(check_name("channel", item.key()));
    TRY_VOID(only_members(item.value(), {"serial", "sha256"}));
    SeenIndex index;
    TRY(index.serial, json_number(item.value(), "serial"));
    TRY(index.sha256, json_string(item.value(), "sha256"));
    if (index.sha256.size() != 64 || !from_hex(index.sha256)) {
      return make_error(Errc::invalid_input, "\"sha256\" is not 64 hex digits");
    }
    seen.channels.emplace(item.key(), std::move(index));
  }
  return seen;
}

std::string format_seen(const Seen& seen) {
  OrderedJson channels = OrderedJson::object();
  for (const auto& [name, index] : seen.channels) {
    channels[name] = {{"serial", index.serial}, {"sha256", index.sha256}};
  }
  return OrderedJson{{"format", 1}, {"channels", channels}}.dump(2) + "\n";
}

Result<void> compare_with_seen(const Seen& seen, const VerifiedIndex& verified) {
  const ChannelIndex& index = verified.index();
  const auto known = seen.channels.find(index.channel);
  if (known == seen.channels.end() || index.serial > known->second.serial) return {};
  if (index.serial < known->second.serial) {
    return rolled_back(index, "is older than index " + std::to_string(known->second.serial) + ", which was seen here");
  }
  if (verified.sha256() == known->second.sha256) return {};
  return rolled_back(index, "is not the one of that number which was seen here");
}

Result<SeenFile> read_seen(const Dir& root) {
  Result<std::optional<std::string>> text = root.read_if_there(kSeenFile, kMaxSeenSize);
  const auto damaged = [&](const Error& error) { return SeenFile{{}, root.path_of(kSeenFile) + ": " + error.what}; };
  if (!text && text.error().code == Errc::invalid_input) return damaged(text.error());
  // A disk that cannot be read may be readable later; what it holds is not lost yet.
  if (!text) return std::move(text).error();
  if (!*text) return SeenFile{};
  Result<Seen> seen = parse_seen(**text);
  if (!seen) return damaged(seen.error());
  return SeenFile{*std::move(seen), ""};
}

Result<Written> remember_seen(const Dir& root, SeenFile file, const VerifiedIndex& verified) {
  const SeenIndex newest{verified.index().serial, verified.sha256()};
  const auto known = file.seen.channels.find(verified.index().channel);
  if (file.damage.empty() && known != file.seen.channels.end() && known->second == newest) return Written::unchanged;
  file.seen.channels[verified.index().channel] = newest;
  if (!file.damage.empty()) TRY_VOID(root.replace(kSeenFile, kDamagedSeenFile));
  TRY_VOID(root.write_atomic(kSeenFile, format_seen(file.seen), 0644));
  return Written::changed;
}

}  // namespace driverext
