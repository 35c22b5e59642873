// Pruning: which images no kernel of this node needs any more, and taking them away.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "provisioner/management.hpp"

namespace driverext {

/// So many versions that fit are kept for each kernel, unless a person says otherwise.
constexpr size_t kKeptVersions = 2;

/// A kernel that may run on this node again.
struct KeptKernel {
  std::string why;
  Facts facts;
  FirmwareLookup has_firmware;
};

/// Releases, each with the reason why images for it are kept: the running kernel, those that the host has modules of,
/// the last ones that a driver was good on, and newer ones than the running that there are images for.
std::map<std::string, std::string> kernels_to_keep(const Inventory& inventory, const State& state,
                                                   const std::string& running_release,
                                                   const std::vector<std::string>& on_host);

/// All that it depends on. Outlives the call.
struct PruneInput {
  const Config& config;
  const Definition& definition;
  const Inventory& inventory;
  const State& state;
  const std::vector<KeptKernel>& kernels;
  const std::set<std::string>& attached;  ///< root hashes
  const std::string& running;             ///< root hash; empty: no image's modules run
  size_t versions = kKeptVersions;
};

/// Why each image of the node is kept, or not: indices into the inventory's images. Only those in the store are ever
/// removed.
struct PrunePlan {
  std::map<size_t, std::string> kept;
  std::map<size_t, std::string> removed;
};
PrunePlan plan_prune(const PruneInput& input);

/// Forgets failures of images that are not on the node, unless the channel could bring them again, and kernels that are
/// not kept and have no image. `removed` as in the plan.
State forget_what_is_gone(const PruneInput& input, const std::map<size_t, std::string>& removed);

/// What is looked at for pruning, beside the node itself.
struct PruneSurvey {
  std::vector<KeptKernel> kernels;
  std::set<std::string> attached;
};
/// `node` is a survey of the running kernel; `root` outlives what is returned.
Result<PruneSurvey> look_for_prune(const Dir& root, const Survey& node);

/// Removes the file of an image in the store, its note, and its folder if nothing else is in it. Links are not
/// followed. Returns the bytes that the file had. Errors: Errc::conflict if the folder is none of the store's own.
Result<uint64_t> remove_from_store(const Dir& root, const KnownImage& image);
/// Removes a file from quarantine, and the note beside it. Returns the bytes that it had.
Result<uint64_t> remove_from_quarantine(const Dir& root, const RejectedImage& rejected);

}  // namespace driverext
