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

constexpr std::string_view kOptionsPlace = "$CMDLINE_OPTS";

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

// libkmod fills options in as they are, and gives the whole to a shell. In single quotes they come to insmod as one
// word, which the kernel takes apart; what would end the quotes, or be filled in again and again, cannot go this way.
bool fits_in_quotes(std::string_view parameters) {
  return parameters.find('\'') == std::string_view::npos && parameters.find(kOptionsPlace) == std::string_view::npos;
}

// A shell runs it. Another insmod may have been quicker: then the module is there.
std::string install_command(const ModuleRecord& record, const std::string& folder, const std::string& parameters) {
  std::string command;
  for (const std::string& name : record.depends) command += (command.empty() ? "/sbin/modprobe -a -q " : " ") + name;
  if (!command.empty()) command += " && ";
  const std::string options =
      fits_in_quotes(parameters) ? "'" + std::string(kOptionsPlace) + "'" : shell_word(parameters);
  return command + "{ /sbin/insmod " + folder + "/" + record.path + " " + options + " || test -e /sys/module/" +
         record.name + "/initstate; }";
}

bool is_planned(const ModulePlan& plan, const std::string& module) {
  return std::any_of(plan.own.begin(), plan.own.end(),
                     [&](const PlannedModule& planned) { return planned.name == module; });
}

}  // namespace

std::string format_modprobe_file(const ModulePlanInput& input, const ModulePlan& plan, const std::string& folder) {
  std::string text = kHead;
  for (const ModuleRecord& record : input.modules) {
    if (input.modprobe.blacklist.contains(record.name) || input.modprobe.install.contains(record.name)) continue;
    // A device loads what the plan does; the others come by their names only.
    if (is_planned(plan, record.name)) {
      for (const std::string& alias : record.aliases) {
        if (is_word(alias)) text += "alias " + alias + " " + record.name + "\n";
      }
    }
    const std::string parameters = PlannedModule{record.name, merge_parameters(input, record.name)}.parameter_text();
    if (!parameters.empty() && fits_in_quotes(parameters)) {
      text += "options " + record.name + " " + escaped(parameters) + "\n";
    }
    text += "install " + record.name + " " + escaped(install_command(record, folder, parameters)) + "\n";
  }
  return text;
}

}  // namespace driverext
