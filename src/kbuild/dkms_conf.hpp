// dkms.conf: what a source tree says of how it is built (dkms(8), "DKMS.CONF").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kbuild/shell_assignments.hpp"

namespace driverext {

constexpr const char* kDkmsConf = "dkms.conf";

/// What stands behind the variables that every dkms.conf may use.
struct DkmsVariables {
  std::string kernel_release;     ///< $kernelver
  std::string kernel_source_dir;  ///< $kernel_source_dir
  std::string arch;               ///< $arch, as uname -m spells it
  std::string dkms_tree;          ///< $dkms_tree: the tree is built in dkms_tree/NAME/VERSION/build
  std::string source_tree;        ///< $source_tree: the source is source_tree/NAME-VERSION
};

/// Something that is for kernels whose release matches, or for all.
struct DkmsMatched {
  std::string value;
  std::string match;  ///< POSIX extended regular expression; empty: all
};

enum class Strip { yes, no };

struct DkmsModule {
  std::string built_name;      ///< without .ko
  std::string built_location;  ///< folder in the tree, "" or with a slash at its end
  std::string name;            ///< what the file is called in the end, without .ko
  std::string location;        ///< where below /lib/modules/RELEASE dkms would put it
  Strip strip = Strip::yes;
};

/// Kernels that the driver is meant for; what is empty does not matter.
struct DkmsExclusive {
  std::string kernel = {};               ///< regular expression over the release
  std::string kernel_min = {};           ///< the first one that it is for
  std::string kernel_max = {};           ///< the last one
  std::string arch = {};                 ///< regular expression
  std::vector<std::string> config = {};  ///< "CONFIG_X" must be on, "!CONFIG_X" must not
};

struct DkmsConf {
  std::string package_name;
  std::string package_version;
  std::vector<DkmsMatched> make;     ///< shell commands; none: the default
  std::string clean;                 ///< shell command; not needed for a fresh copy
  std::vector<DkmsModule> modules;   ///< at least one, names differ
  std::vector<DkmsMatched> patches;  ///< names below patches/
  DkmsExclusive exclusive;
  std::string pre_build;   ///< program in the tree, and its arguments
  std::string post_build;  ///< the same
  std::string obsolete_by;
  // These are about the host that dkms runs on, and mean nothing for an image.
  std::string autoinstall;
  std::string remake_initrd;
  std::string no_weak_modules;
};

struct DkmsReading {
  DkmsConf conf;
  std::optional<NeedsShell> needs_shell;  ///< then `conf` is empty
};

/// Names of the settings that mean something, for who asks a shell for their values.
const std::vector<std::string>& dkms_setting_names();

/// $kernelver and so on, as assignments. The name and version of the package may be empty.
ShellArrays dkms_variables(const DkmsVariables& variables, const std::string& name, const std::string& version);

/// Reads without running anything. Errors: Errc::invalid_input.
Result<DkmsReading> read_dkms_conf(std::string_view text, const DkmsVariables& variables);

/// The same from values that somebody else has worked out.
Result<DkmsConf> dkms_conf_of(const ShellArrays& values);

}  // namespace driverext
