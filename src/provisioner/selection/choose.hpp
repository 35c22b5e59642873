// Choosing an image: the first rungs of the ladder, those that are on the node.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "provisioner/selection/requirement.hpp"

namespace driverext {

/// Which rung of the ladder holds.
enum class Rung {
  exact,     ///< built for this kernel
  kabi,      ///< built for another one whose modules this one takes
  previous,  ///< not what is asked for, or not the best that is here, but it was good on this kernel before
};
std::string_view rung_name(Rung rung);

/// An image that was not chosen, and why.
struct NearMiss {
  size_t image = 0;  ///< index into the inventory's images
  Finding finding;   ///< the first that is unmet
};

struct Choice {
  std::optional<size_t> image;
  Rung rung = Rung::exact;
  /// The loadable image of this driver that comes closest: the one whose first unmet requirement is the last in order.
  /// Set if none was chosen and there is one.
  std::optional<NearMiss> nearest;
};

/// Candidates in the order in which they are tried: what runs now, then what has not failed here before what has; after
/// a failure in this run what is known to be good first; built for this kernel before built for another; what is asked
/// for before what is not; then is_newer, with the flavor that suits the hardware best between versions and dates. Only
/// those that meet all that their identity tells.
std::vector<size_t> ranked_candidates(const SelectionInput& input);

/// The first candidate that meets every requirement. Its manifest is read, and of the others only those before it.
Choice choose_image(const SelectionInput& input);

/// An image for exactly this kernel, of what is asked for, that did not fail: nothing better is to be looked for. What
/// only its manifest tells is not asked.
bool has_what_is_asked_for(const SelectionInput& input);

/// How the image got onto its rung.
Rung rung_of(const SelectionInput& input, const ImageIdentity& image);

/// The facts at hand settle the choice: the kernel has taken the best candidate before, or there is none that more
/// facts could speak for or against.
bool is_settled_by_identity(const SelectionInput& input);

}  // namespace driverext
