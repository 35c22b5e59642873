// Rollout: which nodes a release that is rolled out to N percent reaches.
//
// Each release draws lots anew: a node's place is a hash over node, channel, driver and release, so that the same
// machines are not always the first to meet a bad driver. Within a release the place never changes, so raising the
// percentage only adds nodes. It is computed on the node: the server learns nothing, and any web server will do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "channel/index.hpp"
#include "crypto/digest.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Stands for this node in rollouts. machine-id(5) asks not to disclose the id itself, so only a hash of it is kept.
class NodeId {
 public:
  /// From the text of etc/machine-id: 32 lower-case hex digits; anything else is no id ("uninitialized").
  static std::optional<NodeId> of_machine_id(std::string_view text);
  [[nodiscard]] const Digest& digest() const { return digest_; }

 private:
  explicit NodeId(const Digest& digest) : digest_(digest) {}
  Digest digest_;
};

/// Nothing on a host that has no machine id (yet).
Result<std::optional<NodeId>> read_node_id(const Dir& root);

/// Hundredths of a percent: 0 to 9999.
using RolloutPlace = uint32_t;

/// A node without an id stands last: it takes what is rolled out to all.
RolloutPlace rollout_place(const std::optional<NodeId>& node, std::string_view channel, std::string_view driver,
                           const ReleaseNumber& release);
inline bool is_rolled_out(RolloutPlace place, unsigned percent) { return place < percent * 100; }

/// "37.41 %".
std::string place_text(RolloutPlace place);

}  // namespace driverext
