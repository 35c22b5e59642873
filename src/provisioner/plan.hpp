// The plan: which image, and which steps in which order, each with its reason. Pure: facts, wishes, inventory and
// memory in, data out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "provisioner/acquisition.hpp"
#include "provisioner/selection/choose.hpp"

namespace driverext {

enum class StepKind {
  import,
  verify,
  attach,
  evict,
  firmware,
  load,
  devices,
  root,
  check,
  toolkit,
  merge,
  contract,
  commit
};
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
  Rung rung = Rung::exact;  ///< of the image
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
  SelectionInput selection;
  const std::optional<Acquisition>& acquisition;
};

/// What choose_image() takes, with its steps. If nothing fits, a rejected file speaks louder than an absent one: it is
/// what somebody meant to be used, or what somebody tried, and never a reason to build or fetch another one.
Plan make_plan(const PlanInput& input);

/// What a driver can be built from for a kernel: indices into the inventory's images.
struct BuildInput {
  size_t source = 0;
  size_t builder = 0;
};
/// Newest source of a version that is asked for, and newest builder; nothing if either is missing.
std::optional<BuildInput> find_build_input(const SelectionInput& input);
/// There is a source, but no builder for this kernel.
bool lacks_builder(const SelectionInput& input);

}  // namespace driverext
