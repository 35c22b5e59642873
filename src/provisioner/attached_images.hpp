// Images that provisions have left attached: mounted by their root hash, and perhaps shown on the host's /usr.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "provisioner/steps/step.hpp"

namespace driverext {

/// The manifest of what is mounted there, by its root hash. Nothing: there is none that can be read, as in sources and
/// builders.
std::optional<Manifest> mounted_manifest(const Dir& root, const std::string& root_hash);

/// The links in run/extensions by which systemd-sysext merges it, relative to the root.
Result<std::vector<std::string>> merge_links(const Dir& root, const std::string& root_hash);
/// Those that lead to an image which is not there any more.
Result<std::vector<std::string>> dangling_merge_links(const Dir& root);

enum class Released {
  gone,
  in_use,  ///< nobody sees it any more; its device goes with who has files of it open
};
/// Unmounts it, or detaches it if it is in use, and closes its device.
Result<Released> release_image(Kernel& kernel, const Dir& root, const std::string& root_hash);

/// After a provision: images of another version, or of an earlier run, go. Only this driver's own, and none that the
/// host's /usr shows; what an acquisition works with is none of these. What cannot be released is left: it does no
/// harm.
void release_other_images(const StepContext& context);

}  // namespace driverext
