#include "driver/module_plan.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "driver/hardware_match.hpp"
#include "modules/load_order.hpp"

namespace driverext {
namespace {

// Parameters of a line, split at blanks outside of double quotes.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool is_quoted = false;
  for (const char c : line) {
    if (c == '"') is_quoted = !is_quoted;
    if ((c == ' ' || c == '\t') && !is_quoted) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// Parameter names use "_" and "-" as the same character, like module names.
std::string name_of(const std::string& parameter) { return module_name_form(parameter.substr(0, parameter.find('='))); }

const DefinedModule* rule_for(const Definition& definition, const std::string& module) {
  const DefinedModule* every = nullptr;
  for (const DefinedModule& rule : definition.modules) {
    if (rule.name == module) return &rule;
    if (rule.name == kEveryModule) every = &rule;
  }
  return every;
}

const ModuleRecord* record_of(const std::vector<ModuleRecord>& modules, const std::string& name) {
  const auto found =
      std::find_if(modules.begin(), modules.end(), [&](const ModuleRecord& record) { return record.name == name; });
  return found == modules.end() ? nullptr : &*found;
}

// The module and what it depends on in the image, added to those.
void add_with_dependencies(const std::vector<ModuleRecord>& modules, const std::string& name,
                           std::set<std::string>& names) {
  std::vector<std::string> open = {name};
  while (!open.empty()) {
    const ModuleRecord* record = record_of(modules, open.back());
    open.pop_back();
    if (record == nullptr || !names.insert(record->name).second) continue;
    open.insert(open.end(), record->depends.begin(), record->depends.end());
  }
}

// As the kernel reads a switch; any other value is what it is. Source: lib/kstrtox.c (kstrtobool), kernel/params.c.
std::string value_form(std::string value) {
  if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  for (const char* yes : {"y", "Y", "yes", "Yes", "t", "T", "true", "True", "on", "On"}) {
    if (value == yes) return "1";
  }
  for (const char* no : {"n", "N", "no", "No", "f", "F", "false", "False", "off", "Off"}) {
    if (value == no) return "0";
  }
  return value;
}

// One without a value is a switch that is on.
std::string value_of(const std::string& parameter) {
  const size_t equals = parameter.find('=');
  return equals == std::string::npos ? "1" : value_form(parameter.substr(equals + 1));
}

bool is_meant(const std::string& condition, const std::string& given) {
  if (name_of(given) != name_of(condition)) return false;
  return condition.find('=') == std::string::npos || value_of(given) == value_of(condition);
}

// Why a condition does not hold; empty if it does.
std::string unmet(const ModuleCondition& condition, const ModulePlanInput& input, const std::string& module) {
  const auto is_there = [&](const std::string& pattern) {
    return std::any_of(input.modaliases.begin(), input.modaliases.end(),
                       [&](const std::string& modalias) { return matches_modalias(pattern, modalias); });
  };
  if (!condition.hardware.empty() && std::none_of(condition.hardware.begin(), condition.hardware.end(), is_there)) {
    return "there is no device that it is for";
  }
  if (condition.parameter.empty()) return {};
  const std::vector<GivenParameter> given = merge_parameters(input, module);
  const bool is_given = std::any_of(given.begin(), given.end(), [&](const GivenParameter& parameter) {
    return is_meant(condition.parameter, parameter.text);
  });
  return is_given ? "" : "the parameter " + condition.parameter + " is not given to it";
}

// Where the host says that a module is not to be loaded; null if nowhere.
const ModprobeLine* refusal_of(const ModulePlanInput& input, const std::string& module) {
  const DefinedModule* rule = rule_for(input.definition, module);
  const bool means_another = rule != nullptr && rule->replaces_in_tree;
  const auto blacklist = input.modprobe.blacklist.find(module);
  if (blacklist != input.modprobe.blacklist.end() && !means_another) return &blacklist->second;
  const auto install = input.modprobe.install.find(module);
  return install == input.modprobe.install.end() ? nullptr : &install->second;
}

std::string refusal_text(const ModprobeLine& refusal) {
  return refusal.value.empty() ? "blacklisted by " + refusal.source
                               : "\"install\" in " + refusal.source + " says what to do instead of loading it";
}

class Planner {
 public:
  explicit Planner(const ModulePlanInput& input) : input_(input) {}

  Result<ModulePlan> plan() && {
    TRY_VOID(check_definition());
    must_ = must_modules(input_.definition, input_.modules);
    for (const std::string& name : must_) TRY_VOID(expect_wanted(name));
    taken_ = must_;
    for (const ModuleRecord& record : input_.modules) {
      if (!must_.contains(record.name)) consider(record);
    }
    TRY_VOID(order());
    return std::move(plan_);
  }

 private:
  Result<void> check_definition() const {
    for (const DefinedModule& rule : input_.definition.modules) {
      if (rule.name == kEveryModule || !rule.is_must() || record_of(input_.modules, rule.name) != nullptr) continue;
      return make_error(Errc::incompatible, Reason::config_invalid,
                        "the definition of " + input_.definition.name + " names module " + rule.name +
                            ", which the image does not hold");
    }
    return {};
  }

  Result<void> expect_wanted(const std::string& name) const {
    const ModprobeLine* refusal = refusal_of(input_, name);
    if (refusal == nullptr) return {};
    return make_error(Errc::incompatible, Reason::module_blacklisted,
                      "module " + name + " is not to be loaded on this host: " + refusal_text(*refusal));
  }

  // One that the driver does without.
  void consider(const ModuleRecord& record) {
    const DefinedModule* rule = rule_for(input_.definition, record.name);
    if (rule == nullptr) {
      plan_.skipped.push_back({record.name, "the driver definition does not name it", false});
      return;
    }
    const std::string why = rule->when ? unmet(*rule->when, input_, record.name) : "";
    if (!why.empty()) {
      plan_.skipped.push_back({record.name, why});
      return;
    }
    std::set<std::string> with_it;
    add_with_dependencies(input_.modules, record.name, with_it);
    for (const std::string& name : with_it) {
      const ModprobeLine* refusal = taken_.contains(name) ? nullptr : refusal_of(input_, name);
      if (refusal == nullptr) continue;
      const std::string whose = name == record.name ? "" : "it needs module " + name + ", which is not to be loaded: ";
      plan_.skipped.push_back({record.name, whose + refusal_text(*refusal)});
      return;
    }
    taken_.merge(with_it);
  }

  // The module's own, and those that the host gives it.
  [[nodiscard]] SoftDependencies softdeps_for(const ModuleRecord& record) const {
    SoftDependencies soft{record.name, record.softdeps_pre, record.softdeps_post};
    if (const SoftDependencies* more = softdeps_of(input_.modprobe, record.name); more != nullptr) {
      soft.pre.insert(soft.pre.end(), more->pre.begin(), more->pre.end());
      soft.post.insert(soft.post.end(), more->post.begin(), more->post.end());
    }
    return soft;
  }

  Result<void> order() {
    std::vector<ModuleNode> nodes;
    for (const ModuleRecord& record : input_.modules) {
      if (!taken_.contains(record.name)) continue;
      ModuleNode node{record.name, record.depends, {}};
      const SoftDependencies soft = softdeps_for(record);
      for (const std::string& name : soft.pre) add_soft(name, node.after, plan_.wanted);
      nodes.push_back(std::move(node));
      for (const std::string& name : soft.post) {
        // One of the image comes behind it if it is loaded at all.
        const std::string other = module_name_form(name);
        if (taken_.contains(other)) later_[other].push_back(record.name);
        if (record_of(input_.modules, other) == nullptr) add_once(plan_.afterwards, name);
      }
    }
    for (ModuleNode& node : nodes) {
      const std::vector<std::string>& before = later_[node.name];
      node.after.insert(node.after.end(), before.begin(), before.end());
    }
    sort_as_defined(nodes);
    TRY(const LoadOrder order, order_modules(nodes));
    plan_.required = input_.definition.host_modules.required;
    for (const std::string& name : input_.definition.host_modules.wanted) add_once(plan_.wanted, name);
    for (const std::string& name : order.own) take(*record_of(input_.modules, name));
    std::erase_if(plan_.skipped, [&](const SkippedModule& skipped) { return taken_.contains(skipped.name); });
    drop_unwanted(plan_.wanted);
    drop_unwanted(plan_.afterwards);
    return {};
  }

  void take(const ModuleRecord& record) {
    PlannedModule module{record.name, merge_parameters(input_, record.name), must_.contains(record.name)};
    for (const std::string& name : record.depends) {
      if (record_of(input_.modules, name) == nullptr) add_once(module.is_must ? plan_.required : module.needs, name);
    }
    plan_.own.push_back(std::move(module));
  }

  // The definition's order, as far as dependencies leave it.
  void sort_as_defined(std::vector<ModuleNode>& nodes) const {
    const std::vector<DefinedModule>& rules = input_.definition.modules;
    const auto place = [&](const ModuleNode& node) {
      return std::find_if(rules.begin(), rules.end(),
                          [&](const DefinedModule& rule) { return rule.name == node.name; }) -
             rules.begin();
    };
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](const ModuleNode& a, const ModuleNode& b) { return place(a) < place(b); });
  }

  void add_soft(const std::string& name, std::vector<std::string>& after, std::vector<std::string>& of_host) const {
    const std::string form = module_name_form(name);
    if (taken_.contains(form)) {
      after.push_back(form);
    } else if (record_of(input_.modules, form) == nullptr) {
      add_once(of_host, name);
    }
  }

  static void add_once(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }

  void drop_unwanted(std::vector<std::string>& names) const {
    std::erase_if(names,
                  [&](const std::string& name) { return input_.modprobe.blacklist.contains(module_name_form(name)); });
  }

  const ModulePlanInput& input_;
  ModulePlan plan_;
  std::set<std::string> must_;
  std::set<std::string> taken_;
  std::map<std::string, std::vector<std::string>> later_;  // module → those that want to be before it
};

}  // namespace

std::string PlannedModule::parameter_text() const {
  std::string text;
  for (const GivenParameter& parameter : parameters) text += (text.empty() ? "" : " ") + parameter.text;
  return text;
}

std::vector<GivenParameter> merge_parameters(const ModulePlanInput& input, const std::string& module) {
  std::vector<GivenParameter> merged;
  const auto take = [&](std::string_view line, const std::string& source) {
    for (std::string& word : words_of(line)) {
      GivenParameter given{std::move(word), source};
      const auto same = std::find_if(merged.begin(), merged.end(), [&](const GivenParameter& other) {
        return name_of(other.text) == name_of(given.text);
      });
      if (same != merged.end()) {
        given.overruled = std::move(same->overruled);
        given.overruled.push_back({std::move(same->text), std::move(same->source)});
        merged.erase(same);
      }
      merged.push_back(std::move(given));
    }
  };
  if (const DefinedModule* rule = rule_for(input.definition, module); rule != nullptr) {
    take(rule->parameters, std::string(kDefinitionSource));
  }
  if (const auto own = input.parameters.find(module); own != input.parameters.end()) {
    take(own->second, "driverext.toml");
  }
  const auto take_lines = [&](const std::map<std::string, std::vector<ModprobeLine>>& lines) {
    const auto found = lines.find(module);
    if (found == lines.end()) return;
    for (const ModprobeLine& line : found->second) take(line.value, line.source);
  };
  take_lines(input.modprobe.options);
  take_lines(input.modprobe.command_line);
  return merged;
}

Result<ModulePlan> plan_modules(const ModulePlanInput& input) { return Planner(input).plan(); }

bool must_be_loaded(const Definition& definition, const std::string& module) {
  const DefinedModule* rule = rule_for(definition, module);
  return rule != nullptr && rule->is_must();
}

std::set<std::string> must_modules(const Definition& definition, const std::vector<ModuleRecord>& modules) {
  std::set<std::string> names;
  for (const ModuleRecord& record : modules) {
    if (must_be_loaded(definition, record.name)) add_with_dependencies(modules, record.name, names);
  }
  return names;
}

}  // namespace driverext
