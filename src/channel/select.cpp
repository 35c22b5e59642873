#include "channel/select.hpp"

#include <algorithm>
#include <set>

namespace driverext {
namespace {

constexpr size_t kNamed = 8;  // kernels or drivers that an error names, then "..."

std::string join(const std::set<std::string>& names) {
  std::string text;
  size_t count = 0;
  for (const std::string& name : names) {
    if (count++ == kNamed) return text + ", ...";
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

std::string kinds_text(const ChannelWish& wish) {
  std::string text;
  for (const Kind kind : wish.kinds) text += (text.empty() ? "" : " or ") + std::string(kind_name(kind));
  return text;
}

Error nothing_there(const ChannelIndex& index, const ChannelWish& wish) {
  std::set<std::string> drivers;
  std::set<std::string> held;
  for (const ChannelRelease& release : index.releases) {
    drivers.insert(release.driver);
    if (release.driver != wish.driver) continue;
    for (const ChannelImage& image : release.images) {
      held.insert(image.kind + " for " + (image.kernel_release.empty() ? "every kernel" : image.kernel_release) + " (" +
                  image.architecture + ")");
    }
  }
  std::string text = "channel " + index.channel + " has no image (" + kinds_text(wish) + ") of " + wish.driver +
                     (wish.version.empty() ? "" : " " + wish.version) + " for kernel " + wish.kernel_release + " (" +
                     wish.architecture + "); ";
  if (!held.empty()) {
    text += "what it has of " + wish.driver + ": " + join(held);
  } else {
    text += drivers.empty() ? "it is empty" : "it has images of: " + join(drivers);
  }
  return make_error(Errc::not_found, Reason::no_image_in_channel, text);
}

bool fits(const ChannelImage& image, Kind kind, const ChannelWish& wish) {
  return image.kind == kind_name(kind) && image.architecture == wish.architecture &&
         (image.kernel_release.empty() || image.kernel_release == wish.kernel_release) &&
         (wish.os_id.empty() || image.os_id == wish.os_id);
}

}  // namespace

std::string WaitingRelease::text() const {
  return "release " + number.text() + " (" + version + ") is rolled out to " + std::to_string(percent) +
         " % of nodes; this node's place is " + place_text(place) + ", so it waits";
}

const ChannelImage* fitting_image(const ChannelRelease& release, const ChannelWish& wish) {
  if (release.driver != wish.driver || (!wish.version.empty() && release.version != wish.version)) return nullptr;
  if (wish.allows && !wish.allows(release.version)) return nullptr;
  for (const Kind kind : wish.kinds) {
    const auto it = std::find_if(release.images.begin(), release.images.end(),
                                 [&](const ChannelImage& image) { return fits(image, kind, wish); });
    if (it != release.images.end()) return &*it;
  }
  return nullptr;
}

Result<Offer> select_image(const VerifiedIndex& verified, const ChannelWish& wish) {
  const ChannelIndex& index = verified.index();
  std::vector<const ChannelRelease*> newest_first;
  for (const ChannelRelease& release : index.releases) newest_first.push_back(&release);
  std::sort(newest_first.begin(), newest_first.end(),
            [](const ChannelRelease* a, const ChannelRelease* b) { return a->number > b->number; });

  std::optional<WaitingRelease> waiting;
  for (const ChannelRelease* release : newest_first) {
    const ChannelImage* image = fitting_image(*release, wish);
    if (image == nullptr) continue;
    const RolloutPlace place = rollout_place(wish.node, index.channel, release->driver, release->number);
    if (is_rolled_out(place, release->percent)) {
      return Offer{release->driver, release->version, release->number, *image, std::move(waiting)};
    }
    if (!waiting) waiting = WaitingRelease{release->number, release->version, release->percent, place};
  }
  if (waiting) return make_error(Errc::transient, Reason::rollout_waiting, waiting->text());
  return nothing_there(index, wish);
}

}  // namespace driverext
