// The user part of a driver, as a vendor or a person hands it over, made into the usr/ of an extension.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "userland/layout.hpp"
#include "userland/self_extracting.hpp"
#include "userland/work.hpp"

namespace driverext {

struct UserlandRequest {
  /// A self-extracting archive (*.run), a folder that one was unpacked into (it has a `.manifest`), a folder that holds
  /// usr/, or a folder of libraries and programs.
  std::string input;
  std::string driver;   ///< names the folders of firmware and licence
  std::string version;  ///< must be the package's own, if that says one; may then be empty
  UserlandClass wanted = UserlandClass::compute;
  Compat32 compat32 = Compat32::leave_out;
  /// An existing folder: "package" and "tree" are made in it, and stay the caller's to remove. A failure leaves
  /// neither.
  std::string scratch;
  UserlandWork work = {};
};

/// Sources of kernel modules in a package, to make a source image or modules from.
struct ModuleSource {
  std::string folder;  ///< a path on this machine, inside of scratch or of the input
  std::string flavor;  ///< "open" or "proprietary"
};

struct UserlandTree {
  std::string tree;  ///< a path on this machine; holds usr/ and nothing else
  std::string version;
  std::string machine;                 ///< as uname spells it; empty if no library tells
  Checksum checksum = Checksum::none;  ///< what the archive was held against
  uint64_t files = 0;
  uint64_t bytes = 0;
  std::vector<LeftOut> left_out;
  std::vector<ModuleSource> module_sources;
};

/// Nothing of the input is run. The same input gives the same tree, times of files included.
/// Errors: Errc::invalid_input for what is damaged, incomplete or of another version; Errc::transient if interrupted.
Result<UserlandTree> prepare_userland(const UserlandRequest& request);

}  // namespace driverext
