// Explaining a choice: every candidate, every requirement, and which rung of the ladder holds. Data first, then text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.hpp"
#include "driver/module_plan.hpp"
#include "provisioner/plan.hpp"

namespace driverext {

struct Candidate {
  std::string path;
  std::string version;
  std::string flavor;
  std::string kind;
  std::string kernel_release;
  std::string architecture;
  std::string origin;     ///< "local", "channel", "built"; empty: it was refused
  std::string root_hash;  ///< empty: it was refused
  bool is_chosen = false;
  bool runs = false;  ///< its modules are loaded
  /// In the order of requirements; what could not be looked at any more is missing.
  std::vector<Finding> findings;
  /// The first that is unmet.
  std::optional<Finding> against;
};

struct LadderRung {
  std::string name;  ///< "exact", "kabi", "previous", "fetch", "build"
  bool holds = false;
  std::string why;
};

/// A module of the chosen image.
struct ExplainedModule {
  std::string name;
  std::vector<GivenParameter> parameters;
  std::string skipped;  ///< why it is not loaded; empty: it is
};

struct Explanation {
  std::string driver;
  std::string wish;  ///< "the latest, flavor auto"
  std::string kernel_release;
  bool is_running = true;
  std::string architecture;
  std::string os;
  std::string vermagic;
  std::string module_trust;           ///< what the kernel wants of signatures, in words
  std::string hardware;               ///< what was seen of it, in words
  std::vector<Candidate> candidates;  ///< the chosen one first, then those that fit in order, then the others
  size_t others = 0;                  ///< images on the node that are no candidates: of other drivers, or not loadable
  std::vector<ExplainedModule> modules;  ///< of the chosen image: in the order of loading, then those that are not
  std::string modules_problem;           ///< why they would not be loaded; empty: they would
  std::vector<LadderRung> ladder;
  Reason outcome = Reason::provisioned;
  std::string why;  ///< one sentence
};

/// `modprobe`: what the host says of modules and their parameters.
Explanation explain(const PlanInput& input, const ModprobeConfig& modprobe = {});

/// Members in a fixed order.
OrderedJson explanation_to_json(const Explanation& explanation);
/// For people, with a line break at the end of each line.
std::string explanation_text(const Explanation& explanation);

}  // namespace driverext
