// The plan: which image, and which steps in which order, each with its reason. Pure: facts, wishes, inventory and
// memory in, data out.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "provisioner/acquisition.hpp"
#include "provisioner/config.hpp"
#include "provisioner/definition.hpp"
#include "provisioner/facts.hpp"
#include "provisioner/inventory.hpp"
#include "provisioner/state.hpp"

namespace driverext {

enum class StepKind { import, verify, attach, load, devices, root, check, toolkit, merge, commit };
std::string_view step_name(StepKind kind);

/// Which of the two images of a plan a step is about.
enum class Subject { image, userland };

struct PlannedStep {
  StepKind kind = StepKind::import;
  std::string why;
  Subject subject = Subject::image;
};

struct Plan {
  /// Index into the inventory's images; nothing if none fits.
  std::optional<size_t> image;
  /// Index of the image with the driver's user part: the same one, or the userland that belongs to it. Nothing if the
  /// driver has none.
  std::optional<size_t> userland;
  std::vector<PlannedStep> steps;
  /// Why no image was chosen; set if `image` is not.
  std::optional<Error> problem;
  /// The next rungs of the ladder are open: driverext-acquire.service may get an image.
  bool acquire = false;
};

/// All that a plan depends on. Outlives the call.
struct PlanInput {
  const Facts& facts;
  const Config& config;
  const Definition& definition;
  const Inventory& inventory;
  const State& state;
  const std::set<std::string>& tried;  ///< root hashes that failed in this very run
  const std::optional<Acquisition>& acquisition;
};

/// A loadable image of this driver for this kernel and architecture.
bool fits(const Facts& facts, const Config& config, const Manifest& manifest);

/// The userland that belongs to a modules image: same driver, the version that it names. One for this OS or for any
/// before one for another, then the newest; nothing if there is none here.
std::optional<size_t> find_userland(const Facts& facts, const Inventory& inventory, const Manifest& modules);

/// Newest `created` first among the loadable images for this driver, kernel and architecture; the root hash settles a
/// tie. One that was put aside comes after all others, and not at all if it took the node down too often. If none fits,
/// a rejected file speaks louder than an absent one: it is what somebody meant to be used, or what somebody tried, and
/// never a reason to build or fetch another one. Modules whose userland is missing do not fit: half a driver is none.
Plan make_plan(const PlanInput& input);

/// What a driver can be built from for a kernel: indices into the inventory's images.
struct BuildInput {
  size_t source = 0;
  size_t builder = 0;
};
/// Newest source and builder; nothing if either is missing.
std::optional<BuildInput> find_build_input(const Facts& facts, const Config& config, const Inventory& inventory);
/// There is a source, but no builder for this kernel.
bool lacks_builder(const Facts& facts, const Config& config, const Inventory& inventory);

}  // namespace driverext
