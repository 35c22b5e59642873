// What the host's modprobe.d and the kernel's command line say of modules.
//
// Read by ourselves, not by libkmod: it does not tell in which file something stands, and mixes in the command line of
// the kernel that runs, whatever root is looked at. Formats: modprobe.d(5); kernel-parameters.txt (module.parameter=,
// module_blacklist=) and modprobe(8) (modprobe.blacklist=).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// Our own file there, which is not read here: what it says follows from the others.
inline constexpr std::string_view kOwnModprobeFile = "run/modprobe.d/driverext.conf";

/// Written before it, and not read either: the driver's competitors, as long as it is to be loaded.
inline constexpr std::string_view kOwnConflictsFile = "run/modprobe.d/driverext-conflicts.conf";

/// Where something is said: "/etc/modprobe.d/gpu.conf:3", "the kernel's command line".
struct ModprobeLine {
  std::string value;  ///< of an options line: its parameters; of an install line: the command; else empty
  std::string source;
};

/// A softdep line: modules that are loaded before or behind another one, if they can be.
struct SoftDependencies {
  std::string module;  ///< fnmatch(3) pattern
  std::vector<std::string> pre;
  std::vector<std::string> post;
};

/// Module names as /proc/modules spells them.
struct ModprobeConfig {
  std::map<std::string, std::vector<ModprobeLine>> options;  ///< in the order in which they apply
  std::map<std::string, ModprobeLine> blacklist;
  std::map<std::string, ModprobeLine> install;
  std::vector<SoftDependencies> softdeps;                         ///< in the order of their files
  std::map<std::string, std::vector<ModprobeLine>> command_line;  ///< parameters there, each a line
};

/// What the files say of a module: the first line that matches counts, as for libkmod. Null if there is none.
const SoftDependencies* softdeps_of(const ModprobeConfig& config, const std::string& module);

/// Adds what the text of one file says; `file` is only named. Lines that are none are passed over.
void parse_modprobe_file(const std::string& text, const std::string& file, ModprobeConfig& config);

/// Below `root`: etc, run, usr/local/lib, usr/lib and lib; a file hides those of the same name in later folders.
/// Errors: a file that cannot be read or is too large.
Result<ModprobeConfig> read_modprobe_config(const Dir& root, const std::vector<std::string>& command_line);

}  // namespace driverext
