// What a node remembers of the channels that it has read: the newest index of each, so that nobody can show it an
// older.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "channel/signed_index.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kSeenFile = "var/lib/driverext/channel.json";
constexpr std::string_view kDamagedSeenFile = "var/lib/driverext/channel.json.damaged";
constexpr size_t kMaxSeenSize = size_t{1} << 20;

struct SeenIndex {
  uint64_t serial = 0;
  std::string sha256;  ///< of the signed content, hex
  bool operator==(const SeenIndex&) const = default;
};

struct Seen {
  std::map<std::string, SeenIndex> channels;  ///< by the name that the index gives itself, and that was signed
};

Result<Seen> parse_seen(std::string_view text);
std::string format_seen(const Seen& seen);

/// Errors: Reason::index_rolled_back for an older serial number, or the same one with other content.
Result<void> compare_with_seen(const Seen& seen, const VerifiedIndex& index);

/// The file as it is on the node.
struct SeenFile {
  Seen seen;
  /// Not empty: the file was there and could not be used, and why. The node starts anew then, which is told: to stop
  /// for good would lock it out over one damaged file, to be silent about it would hide a rollback.
  std::string damage;
};
Result<SeenFile> read_seen(const Dir& root);

/// Remembers this index, which was compared. A damaged file is kept beside the new one. Nothing is written if nothing
/// is new.
Result<Written> remember_seen(const Dir& root, SeenFile file, const VerifiedIndex& index);

}  // namespace driverext
