// Survey: everything that is looked at before anything is decided, and what of it a selection takes.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/kernel.hpp"
#include "provisioner/acquisition.hpp"
#include "provisioner/selection/requirement.hpp"
#include "provisioner/verified_cache.hpp"

namespace driverext {

struct SurveyRequest {
  const Dir& root;
  Kernel* kernel = nullptr;  ///< the running one, to be asked what is loaded; null: not asked
  int64_t now = 0;
  std::string kernel_release = {};  ///< empty: the running one
  enum class Depth {
    as_needed,   ///< no more of the host than settles the choice
    everything,  ///< all that can be told
  };
  Depth depth = Depth::as_needed;
};

struct Survey {
  Facts facts;
  bool facts_are_whole = false;  ///< all that can be told was read, not only what settles the choice
  Config config;
  Definition definition;
  std::shared_ptr<LazyTrust> trust;  ///< what images are opened under, when they are
  VerifiedCache verified;
  Inventory inventory;
  State state;          ///< with what the last boots left
  std::string running;  ///< root hash of the image whose modules run
  std::optional<Acquisition> acquisition;
  FirmwareLookup has_firmware;

  /// `memory` and `tried` outlive what is returned, as the survey does.
  [[nodiscard]] SelectionInput selection(const State& memory, const std::set<std::string>& tried) const;
};

/// Fills in what is known even if a later question fails, so that it can still be named.
Result<void> take_survey(const SurveyRequest& request, Survey& found);

/// Files named by a person, verified by `anchors` and judged as if they lay in the inbox: put before everything else in
/// the inventory.
void add_files(const std::vector<std::string>& paths, const TrustStore& anchors, int64_t now, Survey& found);

/// What the last boots left: an attempt that was never ended took the node down, and is a failure.
State remembered(const State& state, const Facts& facts, int64_t now);

}  // namespace driverext
