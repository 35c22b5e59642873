// A dkms.conf that is a program: run by a shell inside a builder, and its values read back.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "kbuild/builder.hpp"
#include "kbuild/dkms_conf.hpp"

namespace driverext {

struct DkmsShellRequest {
  std::string shared;  ///< absolute path of the folder that the builder sees; afterwards nothing there is to be trusted
  std::string tree;    ///< name below `shared`: the source, with its dkms.conf
  std::string reply;   ///< name below `shared` of a file that is made
  DkmsVariables variables;
  int cancel_fd = -1;
};

/// Errors: Errc::invalid_input if the shell fails or says something that is no answer. Never with the host as builder:
/// the caller has refused that.
Result<ShellArrays> evaluate_dkms_conf(Programs& programs, const Builder& builder, const DkmsShellRequest& request);

/// What the shell says: "NAME\0INDEX\0VALUE\0" for each element of dkms_setting_names(), then "end\0". Errors:
/// Errc::invalid_input for anything else, and beyond the bounds of shell_assignments.hpp.
Result<ShellArrays> parse_shell_reply(std::string_view reply);

}  // namespace driverext
