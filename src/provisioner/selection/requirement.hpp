// What an image must meet to be used on a host, requirement by requirement. Pure: facts, wishes, inventory and memory
// in, findings out. The same findings choose an image and explain the choice.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "driver/definition.hpp"
#include "host/facts.hpp"
#include "provisioner/config.hpp"
#include "provisioner/inventory.hpp"
#include "provisioner/state.hpp"

namespace driverext {

/// In the order in which they are checked; the first that is not met is the reason why an image is not used.
enum class Requirement {
  trusted,           ///< signed by an anchor that may sign this driver
  not_revoked,       ///< neither image nor signer are taken back
  not_put_aside,     ///< it has not failed here too often
  architecture,      ///< the machine's
  kernel,            ///< built for this release, or for one whose modules this one takes (kABI)
  vermagic,          ///< built with the kernel options that change the layout of everything
  symbols,           ///< every symbol that its modules import is there, of the same type
  dependencies,      ///< every module that they need is in the image or on the host
  module_signature,  ///< signed with a key that this kernel wants, if it wants any
  hardware,          ///< a device that this flavor and version drive
  userland,          ///< the driver's user part, of the same version
  firmware,          ///< a file that a module asks for, in the images or on the host
  os,                ///< built for this OS
  version,           ///< the version, branch, flavor or pin that is asked for
  space,             ///< room for what a provision writes
  kernel_features,   ///< loop devices, dm-verity and a file system to attach it by
};
constexpr size_t kRequirements = static_cast<size_t>(Requirement::kernel_features) + 1;
std::string_view requirement_name(Requirement requirement);

enum class Verdict {
  met,
  untold,  ///< the host does not tell; the kernel will
  unmet,
};
std::string_view verdict_name(Verdict verdict);

struct Finding {
  Requirement requirement = Requirement::trusted;
  Verdict verdict = Verdict::met;
  Reason reason = Reason::provisioned;  ///< of what is unmet
  std::string sentence;
};

/// Whether the host has this firmware (a name below usr/lib/firmware, or a pattern of such), compressed or not.
using FirmwareLookup = std::function<bool(const std::string& name)>;

/// All that a judgement depends on. Outlives the call.
struct SelectionInput {
  const Facts& facts;
  const Config& config;
  const Definition& definition;
  const Inventory& inventory;
  const State& state;
  const std::set<std::string>& tried;  ///< root hashes that failed in this very run
  const FirmwareLookup& has_firmware;
  /// Root hash of the image whose modules run now; empty if none do. A driver is not exchanged under its users: that is
  /// for the next boot, or for whoever unloads it.
  const std::string& running;
};

/// What the manifest of a candidate tells beyond its identity is not read: a thousand images are judged so.
/// Requirements that need it are left out.
std::vector<Finding> judge_identity(const SelectionInput& input, const KnownImage& known);
/// Every requirement, in order. Errors: the manifest cannot be had (KnownImage::manifest).
Result<std::vector<Finding>> judge(const SelectionInput& input, const KnownImage& known);
/// A file that was refused, or what is known of why.
std::vector<Finding> judge_rejected(const RejectedImage& rejected);

/// The first that is unmet; nullptr if all are met or untold.
const Finding* first_unmet(const std::vector<Finding>& findings);

/// Built for this very kernel release.
bool is_exact(const Facts& facts, const ImageIdentity& image);
/// The kernel has taken this image's modules before, on this host: nothing about them needs asking again.
bool was_taken_before(const SelectionInput& input, const ImageIdentity& image);
/// The one version that this node is to stay with, by a person's pin or because the configuration says "pinned" and it
/// has had one; nothing if it is free.
std::optional<std::string> pinned_version(const SelectionInput& input);
/// The version, branch, flavor or pin that is asked for.
bool is_wanted(const SelectionInput& input, const ImageIdentity& image);

/// The userland that belongs to a modules image: same driver, the version that it names. One for this OS or for any
/// before one for another, then the newest; nothing if there is none here.
std::optional<size_t> find_userland(const Facts& facts, const Inventory& inventory, const ImageIdentity& modules);

/// A publisher's image before one that the node built; the newer version (UAPI.10), then the later one made; the root
/// hash settles a tie, and of two copies the one that was read whole comes first.
bool is_newer(const KnownImage& a, const KnownImage& b);

// Parts of judge(), a file each.

/// kernel_fit.cpp: vermagic, symbols, dependencies, module_signature.
void judge_modules(const SelectionInput& input, const ImageIdentity& image, const Manifest& manifest,
                   std::vector<Finding>& findings);
/// hardware_fit.cpp
Finding judge_hardware(const SelectionInput& input, const ImageIdentity& image);
/// How well the flavor suits the hardware: 0 is best. The same for every flavor if the definition does not say.
size_t flavor_rank(const SelectionInput& input, const std::string& flavor);

}  // namespace driverext
