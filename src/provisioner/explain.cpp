#include "provisioner/explain.hpp"

#include <algorithm>

#include "base/version.hpp"

namespace driverext {
namespace {

bool is_candidate(const SelectionInput& input, const KnownImage& known) {
  return known.identity().driver == input.config.driver && known.identity().is_loadable();
}

Candidate describe(const SelectionInput& input, const KnownImage& known) {
  const ImageIdentity& image = known.identity();
  Candidate candidate;
  candidate.path = known.name;
  candidate.version = image.version;
  candidate.flavor = image.flavor;
  candidate.kind = kind_name(image.kind);
  candidate.kernel_release = image.kernel_release;
  candidate.architecture = image.architecture;
  candidate.origin = origin_name(known.origin);
  candidate.root_hash = image.root_hash;
  candidate.runs = !input.running.empty() && image.root_hash == input.running;
  Result<std::vector<Finding>> findings = judge(input, known);
  if (findings) {
    candidate.findings = *std::move(findings);
  } else {
    candidate.findings = {
        {Requirement::trusted, Verdict::unmet, reason_of(findings.error()), findings.error().message()}};
  }
  if (const Finding* unmet = first_unmet(candidate.findings)) candidate.against = *unmet;
  return candidate;
}

Candidate describe(const RejectedImage& rejected) {
  Candidate candidate;
  candidate.path = rejected.name;
  candidate.findings = judge_rejected(rejected);
  if (const Finding* unmet = first_unmet(candidate.findings)) candidate.against = *unmet;
  return candidate;
}

std::string signature_words(const Facts& facts) {
  const ModuleTrust& trust = facts.module_trust;
  if (!facts.is_running) return "not running, so what it will want of module signatures is not known";
  std::string words = trust.wants_signatures() ? "takes signed modules only"
                      : trust.enforced         ? "takes unsigned modules"
                                               : "does not tell whether it takes unsigned modules";
  if (!trust.lockdown.empty()) words += ", lockdown " + trust.lockdown;
  if (trust.secure_boot) words += *trust.secure_boot ? ", Secure Boot on" : ", Secure Boot off";
  return words;
}

std::string hardware_words(const SelectionInput& input) {
  if (input.definition.hardware.empty()) return "the driver is for no particular device";
  if (!input.facts.hardware_is_known) return "its devices are not told";
  return std::to_string(input.facts.modaliases.size()) + " devices";
}

std::string wish_words(const SelectionInput& input) {
  std::string words = wish_text(input.config.version);
  if (input.state.pin && input.state.pin->driver == input.config.driver) {
    words = input.state.pin->version + ", which is pinned";
  }
  return words + ", flavor " + (input.config.flavor.empty() ? std::string(kAnyFlavor) : input.config.flavor);
}

const Candidate* chosen_of(const Explanation& explanation) {
  const auto found = std::find_if(explanation.candidates.begin(), explanation.candidates.end(),
                                  [](const Candidate& candidate) { return candidate.is_chosen; });
  return found == explanation.candidates.end() ? nullptr : &*found;
}

LadderRung store_rung(const PlanInput& input, const Plan& plan, const Explanation& explanation, Rung rung) {
  LadderRung described{std::string(rung_name(rung)), plan.image && plan.rung == rung, {}};
  const Candidate* chosen = chosen_of(explanation);
  if (described.holds && chosen != nullptr) {
    described.why = input.selection.config.driver + " " + chosen->version + " for " + chosen->kernel_release;
    return described;
  }
  switch (rung) {
    case Rung::exact:
      described.why = "no image for exactly this kernel meets every requirement";
      break;
    case Rung::kabi:
      described.why = "no image for another kernel is known to be taken by this one";
      break;
    case Rung::previous:
      described.why = "nothing that was good on this kernel before is needed, or is here";
      break;
  }
  if (plan.image && plan.rung < rung) described.why = "not needed";
  return described;
}

void add_ladder(const PlanInput& input, const Plan& plan, Explanation& explanation) {
  for (const Rung rung : {Rung::exact, Rung::kabi, Rung::previous}) {
    explanation.ladder.push_back(store_rung(input, plan, explanation, rung));
  }
  const SelectionInput& selection = input.selection;
  LadderRung fetch{"fetch", !plan.image && plan.acquire && !selection.config.channel_url.empty(), {}};
  if (selection.config.channel_url.empty()) {
    fetch.why = "closed: no channel is configured";
  } else if (plan.acquire) {
    fetch.why = "open: " + selection.config.channel_url;
  } else {
    fetch.why = plan.image ? "not needed" : "closed: a newer image would not mend this";
  }
  LadderRung build{"build", !plan.image && plan.acquire && selection.config.channel_url.empty(), {}};
  if (!selection.config.build) {
    build.why = "closed: building is not enabled";
  } else if (find_build_input(selection)) {
    build.why = plan.image ? "not needed" : plan.acquire ? "open: source and builder are here" : "closed";
  } else {
    build.why = lacks_builder(selection) ? "closed: there is no builder image with headers of this kernel"
                                         : "closed: there is no source image of this driver";
  }
  explanation.ladder.push_back(std::move(fetch));
  explanation.ladder.push_back(std::move(build));
}

// Conditions and parameters are the definition's and the host's: so is what keeps a module out.
void add_modules(const SelectionInput& input, const KnownImage& chosen, const ModprobeConfig& modprobe,
                 Explanation& explanation) {
  const Result<const Manifest*> manifest = chosen.manifest();
  if (!manifest) {
    explanation.modules_problem = manifest.error().message();
    return;
  }
  const Result<ModulePlan> plan =
      plan_modules({input.definition, (*manifest)->modules, input.config.parameters, input.facts.modaliases, modprobe});
  if (!plan) {
    explanation.modules_problem = plan.error().message();
    return;
  }
  for (const PlannedModule& module : plan->own) explanation.modules.push_back({module.name, module.parameters, {}});
  for (const SkippedModule& module : plan->skipped) explanation.modules.push_back({module.name, {}, module.why});
}

}  // namespace

Explanation explain(const PlanInput& input, const ModprobeConfig& modprobe) {
  const SelectionInput& selection = input.selection;
  const Facts& facts = selection.facts;
  const Plan plan = make_plan(input);
  Explanation explanation;
  explanation.driver = selection.config.driver;
  explanation.wish = wish_words(selection);
  explanation.kernel_release = facts.kernel_release;
  explanation.is_running = facts.is_running;
  explanation.architecture = facts.architecture;
  explanation.os = facts.os_id.empty() ? "unknown OS" : facts.os_id + " " + facts.os_version_id;
  explanation.vermagic = facts.kernel.vermagic;
  explanation.module_trust = signature_words(facts);
  explanation.hardware = hardware_words(selection);

  const std::vector<KnownImage>& images = selection.inventory.images;
  std::vector<size_t> order;
  if (plan.image) order.push_back(*plan.image);
  const auto add = [&](size_t i) {
    if (std::find(order.begin(), order.end(), i) == order.end()) order.push_back(i);
  };
  for (const size_t i : ranked_candidates(selection)) add(i);
  std::vector<size_t> rest;
  for (size_t i = 0; i < images.size(); ++i) {
    if (is_candidate(selection, images[i])) {
      rest.push_back(i);
    } else {
      ++explanation.others;
    }
  }
  std::sort(rest.begin(), rest.end(), [&](size_t a, size_t b) {
    const bool a_exact = is_exact(facts, images[a].identity());
    const bool b_exact = is_exact(facts, images[b].identity());
    return a_exact != b_exact ? a_exact : is_newer(images[a], images[b]);
  });
  for (const size_t i : rest) add(i);
  for (const size_t i : order) {
    Candidate candidate = describe(selection, images[i]);
    candidate.is_chosen = plan.image == i;
    explanation.candidates.push_back(std::move(candidate));
  }
  for (const RejectedImage& rejected : selection.inventory.rejected) {
    explanation.candidates.push_back(describe(rejected));
  }
  if (plan.image) add_modules(selection, images[*plan.image], modprobe, explanation);
  add_ladder(input, plan, explanation);
  if (plan.problem) {
    explanation.outcome = reason_of(*plan.problem);
    explanation.why = plan.problem->message();
  } else {
    const auto load = std::find_if(plan.steps.begin(), plan.steps.end(),
                                   [](const PlannedStep& step) { return step.kind == StepKind::load; });
    explanation.why = load->why;
  }
  return explanation;
}

}  // namespace driverext
