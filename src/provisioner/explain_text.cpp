// An explanation as JSON and as a table.
#include <algorithm>
#include <array>

#include "base/json.hpp"
#include "base/text.hpp"
#include "provisioner/explain.hpp"

namespace driverext {
namespace {

constexpr size_t kHashShown = 12;

OrderedJson finding_to_json(const Finding& finding) {
  OrderedJson object = {{"requirement", requirement_name(finding.requirement)},
                        {"verdict", verdict_name(finding.verdict)}};
  if (finding.verdict == Verdict::unmet) object["reason"] = reason_info(finding.reason).code;
  object["sentence"] = finding.sentence;
  return object;
}

OrderedJson candidate_to_json(const Candidate& candidate) {
  OrderedJson object = {{"image", candidate.path}, {"chosen", candidate.is_chosen}, {"running", candidate.runs}};
  if (!candidate.root_hash.empty()) {
    object["rootHash"] = candidate.root_hash;
    object["version"] = candidate.version;
    if (!candidate.flavor.empty()) object["flavor"] = candidate.flavor;
    object["kind"] = candidate.kind;
    object["kernelRelease"] = candidate.kernel_release;
    object["architecture"] = candidate.architecture;
    object["origin"] = candidate.origin;
  }
  object["fits"] = !candidate.against.has_value();
  if (candidate.against) {
    object["failed"] = requirement_name(candidate.against->requirement);
    object["reason"] = reason_info(candidate.against->reason).code;
    object["sentence"] = candidate.against->sentence;
  }
  object["requirements"] = OrderedJson::array();
  for (const Finding& finding : candidate.findings) object["requirements"].push_back(finding_to_json(finding));
  return object;
}

OrderedJson module_to_json(const ExplainedModule& module) {
  OrderedJson object = {{"name", module.name}, {"loaded", module.skipped.empty()}};
  if (!module.skipped.empty()) {
    object["why"] = module.skipped;
    return object;
  }
  object["parameters"] = OrderedJson::array();
  for (const GivenParameter& given : module.parameters) {
    OrderedJson parameter = {{"parameter", given.text}, {"from", given.source}};
    parameter["overrules"] = OrderedJson::array();
    for (const OverruledParameter& other : given.overruled) {
      parameter["overrules"].push_back({{"parameter", other.text}, {"from", other.source}});
    }
    object["parameters"].push_back(std::move(parameter));
  }
  return object;
}

// A table whose columns are as wide as what is in them; the last one is not filled up.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { add(std::move(head)); }
  void add(std::vector<std::string> row) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
    rows_.push_back(std::move(row));
  }
  [[nodiscard]] std::string text() const {
    std::string text;
    for (const std::vector<std::string>& row : rows_) {
      std::string line = " ";
      for (size_t i = 0; i < row.size(); ++i) {
        line += ' ' + row[i];
        if (i + 1 < row.size()) line.append(widths_[i] - row[i].size(), ' ');
      }
      while (line.ends_with(' ')) line.pop_back();
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> widths_;
};

std::string mark_of(const Candidate& candidate, Requirement requirement) {
  const auto finding = std::find_if(candidate.findings.begin(), candidate.findings.end(),
                                    [&](const Finding& each) { return each.requirement == requirement; });
  if (finding == candidate.findings.end()) return "-";
  switch (finding->verdict) {
    case Verdict::met:
      return "+";
    case Verdict::untold:
      return "?";
    case Verdict::unmet:
      return "x";
  }
  return "-";
}

std::string verdict_of(const Candidate& candidate) {
  if (candidate.is_chosen) return "chosen";
  return candidate.against ? std::string(reason_info(candidate.against->reason).code) : "fits";
}

std::string name_of(const Candidate& candidate) {
  if (candidate.root_hash.empty()) return printable(candidate.path);
  return candidate.version + (candidate.flavor.empty() ? "" : " " + candidate.flavor) + " " +
         candidate.root_hash.substr(0, kHashShown);
}

std::string candidates_table(const Explanation& explanation) {
  std::vector<std::string> head = {"CANDIDATE", "KERNEL", "ORIGIN"};
  for (size_t i = 0; i < kRequirements; ++i) head.push_back(std::to_string(i + 1));
  head.emplace_back("VERDICT");
  Table table(std::move(head));
  for (const Candidate& candidate : explanation.candidates) {
    std::vector<std::string> row = {name_of(candidate), candidate.kernel_release, candidate.origin};
    for (size_t i = 0; i < kRequirements; ++i) row.push_back(mark_of(candidate, static_cast<Requirement>(i)));
    row.push_back(verdict_of(candidate));
    table.add(std::move(row));
  }
  return table.text();
}

std::string legend() {
  std::string text;
  std::string line = " ";
  for (size_t i = 0; i < kRequirements; ++i) {
    const std::string entry =
        " " + std::to_string(i + 1) + " " + std::string(requirement_name(static_cast<Requirement>(i)));
    if (line.size() + entry.size() > 100) {
      text += line + "\n";
      line = " ";
    }
    line += entry;
  }
  return text + line + "\n  + met   ? not told, the kernel will   x unmet   - not looked at\n";
}

// What speaks for the chosen one, and what is first against each of the others.
std::string details(const Explanation& explanation) {
  std::string text;
  for (const Candidate& candidate : explanation.candidates) {
    text += "\n" + name_of(candidate) + ": " + verdict_of(candidate) + (candidate.runs ? " (it runs now)" : "") + "\n";
    for (const Finding& finding : candidate.findings) {
      if (!candidate.is_chosen && finding.verdict != Verdict::unmet) continue;
      text += "  " +
              std::string(finding.verdict == Verdict::met      ? "+"
                          : finding.verdict == Verdict::untold ? "?"
                                                               : "x") +
              " " + std::string(requirement_name(finding.requirement)) + ": " + printable(finding.sentence) + "\n";
    }
  }
  return text;
}

// "modeset=1 (/etc/modprobe.d/gpu.conf:3), not modeset=0 (the driver definition)"
std::string parameter_words(const GivenParameter& given) {
  std::string text = given.text + " (" + given.source + ")";
  for (const OverruledParameter& other : given.overruled) text += ", not " + other.text + " (" + other.source + ")";
  return text;
}

std::string modules_text(const Explanation& explanation) {
  if (explanation.modules.empty() && explanation.modules_problem.empty()) return {};
  std::string text = "\nModules of the chosen image:\n";
  if (!explanation.modules_problem.empty()) text += "  x " + printable(explanation.modules_problem) + "\n";
  for (const ExplainedModule& module : explanation.modules) {
    const bool is_loaded = module.skipped.empty();
    text += std::string(is_loaded ? "  + " : "  - ") + module.name;
    text += is_loaded ? "\n" : " is not loaded: " + printable(module.skipped) + "\n";
    for (const GivenParameter& given : module.parameters) text += "      " + printable(parameter_words(given)) + "\n";
  }
  return text;
}

}  // namespace

OrderedJson explanation_to_json(const Explanation& explanation) {
  OrderedJson object = {{"format", 1},
                        {"driver", explanation.driver},
                        {"wanted", explanation.wish},
                        {"kernelRelease", explanation.kernel_release},
                        {"running", explanation.is_running},
                        {"architecture", explanation.architecture},
                        {"os", explanation.os},
                        {"vermagic", explanation.vermagic},
                        {"moduleTrust", explanation.module_trust},
                        {"hardware", explanation.hardware},
                        {"outcome", reason_info(explanation.outcome).code},
                        {"why", explanation.why}};
  object["candidates"] = OrderedJson::array();
  for (const Candidate& candidate : explanation.candidates)
    object["candidates"].push_back(candidate_to_json(candidate));
  object["otherImages"] = explanation.others;
  object["modules"] = OrderedJson::array();
  for (const ExplainedModule& module : explanation.modules) object["modules"].push_back(module_to_json(module));
  if (!explanation.modules_problem.empty()) object["modulesProblem"] = explanation.modules_problem;
  object["ladder"] = OrderedJson::array();
  for (const LadderRung& rung : explanation.ladder) {
    object["ladder"].push_back({{"rung", rung.name}, {"holds", rung.holds}, {"why", rung.why}});
  }
  return object;
}

std::string explanation_text(const Explanation& explanation) {
  std::string text;
  const auto line = [&](const std::string& label, const std::string& value) {
    text += std::string(label.size() < 9 ? 9 - label.size() : 0, ' ') + label + ": " + printable(value) + "\n";
  };
  line("Driver", explanation.driver + "; asked for is " + explanation.wish);
  line("Kernel", explanation.kernel_release + " (" + explanation.architecture + ")" +
                     (explanation.is_running ? "" : ", not running") + "; " + explanation.module_trust);
  line("Vermagic", explanation.vermagic.empty() ? "not told" : explanation.vermagic);
  line("Host", explanation.os + "; " + explanation.hardware);
  text += "\n";
  if (explanation.candidates.empty()) {
    text += "There is no image of this driver here.\n";
  } else {
    text += candidates_table(explanation) + "\n" + legend() + details(explanation);
  }
  text += modules_text(explanation) + "\nLadder:\n";
  for (const LadderRung& rung : explanation.ladder) {
    text += "  " + std::string(rung.holds ? "->" : "  ") + " " + rung.name + std::string(10 - rung.name.size(), ' ') +
            printable(rung.why) + "\n";
  }
  const ReasonInfo& info = reason_info(explanation.outcome);
  text += "\n";
  if (explanation.outcome == Reason::provisioned) {
    line("Chosen", explanation.why);
  } else {
    line("Outcome", std::string(outcome_name(info.outcome)) + " (" + std::string(info.code) + ")");
    line("Why", explanation.why);
    line("Advice", std::string(info.advice));
  }
  return text;
}

}  // namespace driverext
