#include "driver/modprobe_file.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr const char* kHead =
    "# Written by driverext while the driver is loaded: its modules are in a mounted image, and in no index.\n";

// What modprobe.d takes as one word.
bool is_word(const std::string& text) {
  return !text.empty() && text.front() != '#' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '"'; });
}

// modprobe.d drops a backslash, and takes the character behind it as it is.
std::string escaped(std::string_view text) {
  std::string line;
  for (const char c : text) line += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return line;
}

// One word for a shell, in which libkmod finds nothing to fill in.
std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\"'\"'";
    } else {
      word += c;
      if (c == '$') word += "''";
    }
  }
  return word + "'";
}

// Each as a word of its own. Were they filled in by libkmod ($CMDLINE_OPTS), the shell would take values apart; and as
// one word insmod of kmod 34 takes them for the value of the first. Double quotes in them are the kernel's to see.
std::string parameter_words(const std::vector<GivenParameter>& parameters) {
  std::string words;
  for (const GivenParameter& given : parameters) words += " " + shell_word(given.text);
  return words;
}

size_t place_of(const ModulePlan& plan, const std::string& module) {
  const auto found = std::find_if(plan.own.begin(), plan.own.end(),
                                  [&](const PlannedModule& planned) { return planned.name == module; });
  return static_cast<size_t>(found - plan.own.begin());
}

bool is_planned(const ModulePlan& plan, const std::string& module) { return place_of(plan, module) < plan.own.size(); }

enum class When { before, behind };

// Soft dependencies of a module, its own and those of the host's modprobe.d. Of the image those that the plan has; one
// that is loaded before another does not ask for that in turn.
class SoftNames {
 public:
  SoftNames(const ModulePlanInput& input, const ModulePlan& plan, const ModuleRecord& record)
      : input_(input), plan_(plan), record_(record) {}

  [[nodiscard]] std::string text(When when) const {
    std::vector<std::string> names = when == When::before ? record_.softdeps_pre : record_.softdeps_post;
    if (const SoftDependencies* more = softdeps_of(input_.modprobe, record_.name); more != nullptr) {
      const std::vector<std::string>& of_host = when == When::before ? more->pre : more->post;
      names.insert(names.end(), of_host.begin(), of_host.end());
    }
    std::string text;
    for (const std::string& name : names) {
      if (is_wanted(name, when)) text += " " + name;
    }
    return text;
  }

 private:
  [[nodiscard]] bool is_wanted(const std::string& name, When when) const {
    const std::string form = module_name_form(name);
    if (!check_name("module", name) || input_.modprobe.blacklist.contains(form) || form == record_.name) return false;
    const bool is_own = std::any_of(input_.modules.begin(), input_.modules.end(),
                                    [&](const ModuleRecord& record) { return record.name == form; });
    if (!is_own) return true;
    if (!is_planned(plan_, form)) return false;
    return when == When::behind || place_of(plan_, form) < place_of(plan_, record_.name);
  }

  const ModulePlanInput& input_;
  const ModulePlan& plan_;
  const ModuleRecord& record_;
};

// A shell runs it. Another insmod may have been quicker: then the module is there.
std::string install_command(const ModuleRecord& record, const SoftNames& soft, const std::string& folder,
                            const std::vector<GivenParameter>& parameters) {
  const std::string before = soft.text(When::before);
  const std::string behind = soft.text(When::behind);
  std::string command;
  for (const std::string& name : record.depends) command += (command.empty() ? "/sbin/modprobe -a -q " : " ") + name;
  if (!command.empty()) command += " && ";
  command += "{ /sbin/insmod " + folder + "/" + record.path + parameter_words(parameters) + " || test -e /sys/module/" +
             record.name + "/initstate; }";
  if (!before.empty()) command = "/sbin/modprobe -a -q" + before + "; " + command;
  if (!behind.empty()) command += " && { /sbin/modprobe -a -q" + behind + "; true; }";
  return command;
}

}  // namespace

std::string format_modprobe_file(const ModulePlanInput& input, const ModulePlan& plan, const std::string& folder) {
  std::string text = kHead;
  for (const ModuleRecord& record : input.modules) {
    const bool is_refused =
        input.modprobe.blacklist.contains(record.name) || input.modprobe.install.contains(record.name);
    const bool is_loaded = is_planned(plan, record.name);
    if (is_refused && !is_loaded) continue;
    // A device loads what the plan does; the others come by their names only.
    if (is_loaded) {
      for (const std::string& alias : record.aliases) {
        if (is_word(alias)) text += "alias " + alias + " " + record.name + "\n";
      }
    }
    const PlannedModule module{record.name, merge_parameters(input, record.name)};
    const std::string parameters = module.parameter_text();
    // For people, and for an unload that is taken back.
    if (!parameters.empty()) text += "options " + record.name + " " + escaped(parameters) + "\n";
    const SoftNames soft(input, plan, record);
    text += "install " + record.name + " " + escaped(install_command(record, soft, folder, module.parameters)) + "\n";
    // libkmod passes over the command of a module that has soft dependencies, and takes the first line about them.
    text += "softdep " + record.name + " pre:\n";
  }
  return text;
}

}  // namespace driverext
