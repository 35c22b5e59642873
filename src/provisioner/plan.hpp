// The plan: which image, and which steps in which order, each with its reason. Pure: facts, wishes
// and inventory in, data out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "provisioner/config.hpp"
#include "provisioner/facts.hpp"
#include "provisioner/inventory.hpp"

namespace driverext {

enum class StepKind { import, verify, attach, load, devices, commit };
std::string_view step_name(StepKind kind);

struct PlannedStep {
  StepKind kind = StepKind::import;
  std::string why;
};

struct Plan {
  /// Index into the inventory's images; nothing if none fits.
  std::optional<size_t> image;
  std::vector<PlannedStep> steps;
  /// Why no image was chosen; set if `image` is not.
  std::optional<Error> problem;
};

/// Newest `created` first among the images for this driver, kernel and architecture; the root hash
/// settles a tie. If none fits, a rejected file speaks louder than an absent one: it is what
/// somebody meant to be used, or what somebody tried.
Plan make_plan(const Facts& facts, const Config& config, const Inventory& inventory);

}  // namespace driverext
