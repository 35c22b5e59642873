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

// A shell runs it. Another insmod may have been quicker: then the module is there.
std::string install_command(const ModuleRecord& record, const std::string& folder) {
  std::string command;
  for (const std::string& name : record.depends) command += (command.empty() ? "/sbin/modprobe -a -q " : " ") + name;
  if (!command.empty()) command += " && ";
  return command + "{ /sbin/insmod " + folder + "/" + record.path + " $CMDLINE_OPTS || test -e /sys/module/" +
         record.name + "/initstate; }";
}

}  // namespace

std::string format_modprobe_file(const ModulePlanInput& input, const std::string& folder) {
  std::string text = kHead;
  for (const std::string& name : input.definition.host_modules.conflicts) text += "blacklist " + name + "\n";
  for (const ModuleRecord& record : input.modules) {
    if (input.modprobe.blacklist.contains(record.name) || input.modprobe.install.contains(record.name)) continue;
    for (const std::string& alias : record.aliases) {
      if (is_word(alias)) text += "alias " + alias + " " + record.name + "\n";
    }
    const std::string parameters = PlannedModule{record.name, merge_parameters(input, record.name)}.parameter_text();
    if (!parameters.empty()) text += "options " + record.name + " " + parameters + "\n";
    text += "install " + record.name + " " + install_command(record, folder) + "\n";
  }
  return text;
}

}  // namespace driverext
