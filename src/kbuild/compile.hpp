// Compiling: a driver's source that is a plain Kbuild tree.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "kbuild/builder.hpp"
#include "sys/programs.hpp"

namespace driverext {

struct CompileRequest {
  std::string kernel_release;
  std::string builder;  ///< absolute path of the mounted builder image: the container's root, read-only
  std::string source;   ///< absolute path of the Kbuild tree
  std::string work;     ///< absolute path of an empty directory that is the caller's to remove
  int cancel_fd = -1;   ///< readable: give up
  unsigned timeout_sec = kBuildTimeoutSec;
  /// Told how far it is, now and then.
  std::function<void(const std::string& what)> progress = [](const std::string&) {};
};

/// Where the modules are when it is done, below `work`.
constexpr const char* kCompiledModules = "/modules";
/// What the compiler said, below `work`; there also after a failure.
constexpr const char* kCompileLog = "/log";
/// A builder can bring the tool that packs images.
constexpr const char* kBuilderPacker = "usr/bin/mksquashfs";

/// Errors: Reason::build_failed with the compiler's first error; Errc::transient if it was interrupted.
Result<void> compile_modules(Programs& programs, const CompileRequest& request);

}  // namespace driverext
