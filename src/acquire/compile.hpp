// Compiling: a driver's source, built by Kbuild inside a builder image, in a container without network.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "provisioner/programs.hpp"
#include "sys/dir.hpp"

namespace driverext {

struct CompileRequest {
  std::string kernel_release;
  std::string builder;  ///< absolute path of the mounted builder image: the container's root, read-only
  std::string source;   ///< absolute path of the Kbuild tree
  std::string work;     ///< absolute path of an empty directory that is the caller's to remove
  int cancel_fd = -1;   ///< readable: give up
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

/// The line that says what went wrong: the first error, not the last line. Empty if there is none.
std::string first_compiler_error(const std::string& log);

/// systemd-nspawn over the builder with `shared` (an absolute path) at the same place inside; what is to be run
/// follows.
std::vector<std::string> container_command(const std::string& builder, const std::string& shared);

}  // namespace driverext
