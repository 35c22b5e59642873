#include "provisioner/selection/requirement.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "base/version.hpp"

namespace driverext {
namespace {

// State, notes and the cache of ld.so; images that are fetched or built ask for their own.
constexpr uint64_t kRoomNeeded = uint64_t{4} << 20;

constexpr std::array<std::string_view, kRequirements> kNames = {
    "trusted",      "not-revoked",      "not-put-aside", "architecture", "kernel",   "vermagic", "symbols",
    "dependencies", "module-signature", "hardware",      "userland",     "firmware", "os",       "version",
    "space",        "kernel-features"};

Finding met(Requirement requirement, std::string sentence) {
  return {requirement, Verdict::met, Reason::provisioned, std::move(sentence)};
}
Finding untold(Requirement requirement, std::string sentence) {
  return {requirement, Verdict::untold, Reason::provisioned, std::move(sentence)};
}
Finding unmet(Requirement requirement, Reason reason, std::string sentence) {
  return {requirement, Verdict::unmet, reason, std::move(sentence)};
}

Finding judge_put_aside(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::not_put_aside;
  if (input.tried.contains(image.root_hash)) {
    return unmet(kWhat, Reason::put_aside, "it failed just now");
  }
  const FailedImage* failed = input.state.of(input.facts.kernel_release).failure_of(image.root_hash);
  if (failed == nullptr) return met(kWhat, "it has not failed on this kernel");
  const std::string times = std::to_string(failed->attempts) + (failed->attempts == 1 ? " time" : " times");
  const std::string words =
      "it failed " + times + " on this kernel, last with " + failed->reason + " (" + failed->message + ")";
  if (failed->is_put_aside()) return unmet(kWhat, Reason::put_aside, words);
  return met(kWhat, words + "; it may be tried once more if there is no other");
}

Finding judge_architecture(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::architecture;
  if (image.architecture == input.facts.architecture) return met(kWhat, "both are " + image.architecture);
  return unmet(kWhat, Reason::wrong_architecture,
               "it is for " + image.architecture + ", the machine is " + input.facts.architecture);
}

bool has_modversions(const std::string& vermagic) {
  const std::vector<std::string> words = split(vermagic, ' ');
  return std::find(words.begin(), words.end(), "modversions") != words.end();
}

Finding judge_kernel(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::kernel;
  const std::string& wanted = input.facts.kernel_release;
  if (is_exact(input.facts, image)) return met(kWhat, "it was built for " + wanted);
  const std::string built_for = "it was built for " + image.kernel_release + ", not for " + wanted;
  // Without modversions the kernel compares releases and nothing else (kernel/module/version.c, same_magic).
  if (!has_modversions(image.vermagic)) {
    return unmet(kWhat, Reason::kernel_mismatch, built_for + ", and its modules carry no symbol versions");
  }
  if (!input.facts.kernel.vermagic.empty() && !has_modversions(input.facts.kernel.vermagic)) {
    return unmet(kWhat, Reason::kernel_mismatch, built_for + ", and this kernel takes none but its own modules");
  }
  return met(kWhat, built_for + "; kernels with symbol versions take it if its symbols are theirs");
}

Finding judge_userland(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::userland;
  if (image.has_userland()) return met(kWhat, "it is in the image");
  if (image.userland.empty()) return met(kWhat, "its modules need none");
  if (find_userland(input.facts, input.inventory, image)) {
    return met(kWhat, "the userland image " + image.userland + " is here");
  }
  return unmet(kWhat, Reason::userland_missing,
               "the userland image " + image.userland + " that belongs to its modules is not here");
}

Finding judge_os(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::os;
  const std::string& host = input.facts.os_id;
  if (host.empty()) return untold(kWhat, "the host has no os-release");
  if (image.os_id.empty() || image.os_id == host || image.os_id == kAnyOs) {
    return met(kWhat, "the host is " + host + " " + input.facts.os_version_id);
  }
  return unmet(kWhat, Reason::os_mismatch, "it is for " + image.os_id + ", the host is " + host);
}

bool flavor_is_wanted(const SelectionInput& input, const ImageIdentity& image) {
  return input.config.flavor.empty() || image.flavor.empty() || image.flavor == input.config.flavor;
}

Finding judge_version(const SelectionInput& input, const ImageIdentity& image) {
  constexpr auto kWhat = Requirement::version;
  if (!flavor_is_wanted(input, image)) {
    return unmet(kWhat, Reason::not_wanted,
                 "its flavor is " + image.flavor + ", and " + input.config.flavor + " is asked for");
  }
  const std::optional<Pin>& pin = input.state.pin;
  if (pin && pin->driver == image.driver && !pin->root_hash.empty()) {
    if (pin->root_hash == image.root_hash) return met(kWhat, "this very image is pinned");
    return unmet(kWhat, Reason::not_wanted, "another image is pinned: " + pin->version + " " + pin->root_hash);
  }
  const std::optional<std::string> pinned = pinned_version(input);
  const std::string asked = pinned ? *pinned + ", which is pinned" : wish_text(input.config.version);
  if (is_wanted(input, image)) return met(kWhat, "asked for is " + asked);
  if (!pinned && input.state.of(input.facts.kernel_release).is_good(image.root_hash)) {
    return met(kWhat, "asked for is " + asked + ", but this one was good on this kernel before");
  }
  return unmet(kWhat, Reason::not_wanted, "its version is " + image.version + ", and asked for is " + asked);
}

Finding judge_space(const SelectionInput& input) {
  constexpr auto kWhat = Requirement::space;
  const std::optional<uint64_t>& free = input.facts.free_bytes;
  if (!free) return untold(kWhat, "how much room /var/lib/driverext has cannot be told");
  if (*free >= kRoomNeeded) return met(kWhat, human_size(*free) + " are free in /var/lib/driverext");
  return unmet(
      kWhat, Reason::no_space,
      "only " + human_size(*free) + " are free in /var/lib/driverext; " + human_size(kRoomNeeded) + " are needed");
}

Finding judge_kernel_features(const SelectionInput& input) {
  constexpr auto kWhat = Requirement::kernel_features;
  const KernelFacts& kernel = input.facts.kernel;
  std::string lacks;
  bool told = true;
  const auto ask = [&](Presence presence, const char* name) {
    told = told && presence != Presence::unknown;
    if (presence == Presence::absent) lacks += (lacks.empty() ? "" : ", ") + std::string(name);
  };
  ask(kernel.loop, "loop devices");
  ask(kernel.dm_verity, "dm-verity");
  // Which of the two an image needs shows once it is attached.
  if (kernel.squashfs == Presence::absent && kernel.erofs == Presence::absent) ask(Presence::absent, "squashfs, erofs");
  if (!lacks.empty()) return unmet(kWhat, Reason::kernel_feature_missing, "this kernel has no " + lacks);
  if (!told) return untold(kWhat, "whether the kernel has loop devices and dm-verity shows when they are used");
  return met(kWhat, "loop devices, dm-verity and a file system for images are there");
}

Finding judge_firmware(const SelectionInput& input, const KnownImage& known, const Manifest& manifest) {
  constexpr auto kWhat = Requirement::firmware;
  std::vector<std::string> held = manifest.firmware;
  bool userland_tells = true;
  if (const auto userland = find_userland(input.facts, input.inventory, known.identity());
      userland && !known.identity().has_userland()) {
    const Result<const Manifest*> theirs = input.inventory.images[*userland].manifest();
    userland_tells = static_cast<bool>(theirs);
    if (theirs) held.insert(held.end(), (*theirs)->firmware.begin(), (*theirs)->firmware.end());
  }
  std::string missing;
  for (const ModuleRecord& record : manifest.modules) {
    if (record.firmware.empty()) continue;
    // Of several files a module mostly needs the one for its device: that none is there is what cannot work.
    const bool some = std::any_of(record.firmware.begin(), record.firmware.end(), [&](const std::string& name) {
      return std::find(held.begin(), held.end(), name) != held.end() || input.has_firmware(name);
    });
    if (!some) missing += (missing.empty() ? "" : ", ") + record.name + " (" + record.firmware.front() + ")";
  }
  if (missing.empty()) return met(kWhat, "what its modules ask for is there");
  // Images that were made before manifests told of firmware may well hold it.
  if (!userland_tells || (held.empty() && known.identity().has_userland())) {
    return untold(kWhat, "the image does not tell which firmware it holds; not on the host is that of " + missing);
  }
  return unmet(kWhat, Reason::firmware_missing, "neither the images nor the host have the firmware of " + missing);
}

Finding signed_by(const ImageIdentity& image) { return met(Requirement::trusted, "signed by " + image.signer); }

}  // namespace

std::string_view requirement_name(Requirement requirement) { return kNames[static_cast<size_t>(requirement)]; }

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::met:
      return "met";
    case Verdict::untold:
      return "untold";
    case Verdict::unmet:
      return "unmet";
  }
  return "?";
}

const Finding* first_unmet(const std::vector<Finding>& findings) {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.verdict == Verdict::unmet; });
  return found == findings.end() ? nullptr : &*found;
}

bool is_exact(const Facts& facts, const ImageIdentity& image) { return image.kernel_release == facts.kernel_release; }

bool was_taken_before(const SelectionInput& input, const ImageIdentity& image) {
  return input.state.of(input.facts.kernel_release).is_good(image.root_hash);
}

// What a person pinned comes before what the configuration says.
std::optional<std::string> pinned_version(const SelectionInput& input) {
  const std::optional<Pin>& pin = input.state.pin;
  if (pin && pin->driver == input.config.driver) return pin->version;
  if (input.config.version.kind != VersionWish::Kind::pinned) return std::nullopt;
  // What this kernel had last, else what any had: a node stays with what it has.
  const KernelMemory& memory = input.state.of(input.facts.kernel_release);
  const auto is_of_driver = [&](const GoodImage& good) { return good.driver == input.config.driver; };
  const auto here = std::find_if(memory.good.begin(), memory.good.end(), is_of_driver);
  if (here != memory.good.end()) return here->version;
  const GoodImage* last = nullptr;
  for (const auto& [release, kernel] : input.state.kernels) {
    const auto good = std::find_if(kernel.good.begin(), kernel.good.end(), is_of_driver);
    if (good != kernel.good.end() && (last == nullptr || good->time > last->time)) last = &*good;
  }
  return last == nullptr ? std::nullopt : std::optional(last->version);
}

bool is_wanted(const SelectionInput& input, const ImageIdentity& image) {
  if (!flavor_is_wanted(input, image)) return false;
  const std::optional<Pin>& pin = input.state.pin;
  if (pin && pin->driver == image.driver && !pin->root_hash.empty()) return pin->root_hash == image.root_hash;
  const std::optional<std::string> pinned = pinned_version(input);
  return pinned ? image.version == *pinned : input.config.version.allows(image.version);
}

std::vector<Finding> judge_identity(const SelectionInput& input, const KnownImage& known) {
  const ImageIdentity& image = known.identity();
  return {signed_by(image),
          met(Requirement::not_revoked, "neither image nor signer are revoked"),
          judge_put_aside(input, image),
          judge_architecture(input, image),
          judge_kernel(input, image),
          judge_hardware(input, image),
          judge_userland(input, image),
          judge_os(input, image),
          judge_version(input, image),
          judge_space(input),
          judge_kernel_features(input)};
}

Result<std::vector<Finding>> judge(const SelectionInput& input, const KnownImage& known) {
  std::vector<Finding> findings = judge_identity(input, known);
  if (was_taken_before(input, known.identity())) {
    for (const Requirement requirement : {Requirement::vermagic, Requirement::symbols, Requirement::dependencies,
                                          Requirement::module_signature, Requirement::firmware}) {
      findings.push_back(met(requirement, "this kernel has taken it before"));
    }
  } else {
    TRY(const Manifest* manifest, known.manifest());
    judge_modules(input, known.identity(), *manifest, findings);
    findings.push_back(judge_firmware(input, known, *manifest));
  }
  std::sort(findings.begin(), findings.end(),
            [](const Finding& a, const Finding& b) { return a.requirement < b.requirement; });
  return findings;
}

std::vector<Finding> judge_rejected(const RejectedImage& rejected) {
  const Reason reason = reason_of(rejected.error);
  const bool revoked = reason == Reason::signer_revoked || reason == Reason::image_revoked;
  std::vector<Finding> findings;
  if (revoked) findings.push_back(met(Requirement::trusted, "it is signed as it should be"));
  findings.push_back(
      unmet(revoked ? Requirement::not_revoked : Requirement::trusted, reason, rejected.error.message()));
  return findings;
}

std::optional<size_t> find_userland(const Facts& facts, const Inventory& inventory, const ImageIdentity& modules) {
  const auto is_for_this_os = [&](const KnownImage& known) {
    const ImageIdentity& image = known.identity();
    return image.os_id == kAnyOs || (image.os_id == facts.os_id && image.os_version_id == facts.os_version_id);
  };
  const auto comes_before = [&](const KnownImage& a, const KnownImage& b) {
    return is_for_this_os(a) != is_for_this_os(b) ? is_for_this_os(a) : is_newer(a, b);
  };
  std::optional<size_t> found;
  for (size_t i = 0; i < inventory.images.size(); ++i) {
    const ImageIdentity& image = inventory.images[i].identity();
    const bool belongs = image.kind == Kind::userland && image.driver == modules.driver &&
                         image.version == modules.userland && image.architecture == modules.architecture;
    if (belongs && (!found || comes_before(inventory.images[i], inventory.images[*found]))) found = i;
  }
  return found;
}

bool is_newer(const KnownImage& a, const KnownImage& b) {
  // What a publisher made comes before what the node had to make itself: their times cannot be compared.
  if ((a.origin == Origin::built) != (b.origin == Origin::built)) return b.origin == Origin::built;
  const ImageIdentity& left = a.identity();
  const ImageIdentity& right = b.identity();
  if (const int order = order_of_versions(left.version, right.version); order != 0) return order > 0;
  if (left.created != right.created) return left.created > right.created;
  if (left.root_hash != right.root_hash) return left.root_hash < right.root_hash;
  return a.whole && !b.whole;  // copies of one image: the one that is known to be undamaged
}

}  // namespace driverext
