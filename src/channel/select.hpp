// Selection: which image of a channel this node takes. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "channel/rollout.hpp"
#include "channel/signed_index.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

/// What a node looks for.
struct ChannelWish {
  std::string driver;  ///< "builder" for builder images
  std::string kernel_release;
  std::string architecture;                                   ///< as systemd spells it
  std::string os_id;                                          ///< empty: any
  std::string version;                                        ///< of the driver; empty: any
  std::function<bool(std::string_view version)> allows = {};  ///< versions that are asked for; none: all
  std::vector<Kind> kinds = {Kind::complete, Kind::modules};  ///< the first one that a release has is taken
  std::optional<NodeId> node;
};

/// A release that is not rolled out to this node yet.
struct WaitingRelease {
  ReleaseNumber number;
  std::string version;
  unsigned percent = 0;
  RolloutPlace place = 0;

  /// "release 1.2.0 (580.2) is rolled out to 10 % of nodes; this node's place is 37.41 %, so it waits".
  [[nodiscard]] std::string text() const;
};

struct Offer {
  std::string driver;
  std::string version;
  ReleaseNumber release;
  ChannelImage image;
  std::optional<WaitingRelease> waiting;  ///< the newest release that would fit, if it is newer than this one
};

/// The image in `release` that suits this host best; none if there is none.
const ChannelImage* fitting_image(const ChannelRelease& release, const ChannelWish& wish);

/// The highest release number that has a fitting image and is rolled out to this node. Whether that is newer than what
/// the node has is the caller's question: a percentage that was lowered calls a release back.
/// Errors: Reason::rollout_waiting if something would fit, but none of it is rolled out to this node;
/// Reason::no_image_in_channel, naming what there is.
Result<Offer> select_image(const VerifiedIndex& index, const ChannelWish& wish);

}  // namespace driverext
