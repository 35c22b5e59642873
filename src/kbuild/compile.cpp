#include "kbuild/compile.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "kbuild/builder.hpp"
#include "kbuild/source_tree.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

Result<void> prepare(const CompileRequest& request) {
  TRY_VOID(copy_source(request.source, request.work + "/source"));
  std::error_code error;
  if (!fs::create_directory(request.work + kCompiledModules, error)) {
    return os_failure(error ? error.value() : EEXIST, "cannot make a directory in " + request.work);
  }
  return {};
}

// Wherever in the tree Kbuild left them.
Result<void> collect(const CompileRequest& request) {
  TRY(const std::vector<std::string> modules, modules_in(request.work + "/source"));
  const fs::path target = request.work + kCompiledModules;
  for (const fs::path module : modules) {
    std::error_code error;
    fs::rename(module, target / module.filename(), error);
    if (error) return os_failure(error.value(), "cannot collect " + module.string());
  }
  if (!modules.empty()) return {};
  return make_error(Errc::invalid_input, Reason::build_failed, "the build ended well, but made no kernel module");
}

}  // namespace

Result<void> compile_modules(Programs& programs, const CompileRequest& request) {
  TRY_VOID(prepare(request));
  BuilderRun run;
  // The kernel release was checked to be a plain name; the path is ours.
  run.argv = {"/bin/sh",
              "-ec",
              "make -j\"$1\" -C \"/usr/lib/modules/$2/build\" M=\"$3\" KCFLAGS=-g0 modules; find \"$3\" "
              "-name '*.ko' -exec strip --strip-debug {} +",
              "build",
              std::to_string(parallel_jobs()),
              request.kernel_release,
              kBuildPlace};
  run.shared = request.work + "/source";
  run.log = request.work + kCompileLog;
  run.cancel_fd = request.cancel_fd;
  run.progress = request.progress;
  TRY_VOID(Builder::container(request.builder).run(programs, run));
  return collect(request);
}

}  // namespace driverext
