#include "kbuild/compile.hpp"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "kbuild/builder.hpp"
#include "kbuild/source_tree.hpp"
#include "modules/module_file.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSource = "/source";  // below `work`: what the container sees

Result<void> prepare(const CompileRequest& request) {
  TRY_VOID(copy_source(request.source, request.work + kSource, request.cancel_fd));
  std::error_code error;
  if (!fs::create_directory(request.work + kCompiledModules, error)) {
    return os_failure(error ? error.value() : EEXIST, "cannot make a directory in " + request.work);
  }
  return {};
}

// Wherever in the tree Kbuild left them. `tree` was opened before anything ran there. Copied, since what else is true
// of the files (owner, mode, other names) was the container's choice.
Result<void> collect(const CompileRequest& request, const Dir& tree) {
  TRY(const std::vector<std::string> modules, modules_in(request.work + kSource));
  TRY(const Dir target, Dir::open_root(request.work + kCompiledModules));
  for (const std::string& module : modules) {
    TRY(const UniqueFd fd, tree.open_no_follow(module, O_RDONLY | O_NONBLOCK));
    TRY(const std::string bytes, read_fd(fd.get(), kMaxModuleFile, module));
    TRY_VOID(target.write_atomic(fs::path(module).filename().string(), bytes, 0644));
  }
  if (!modules.empty()) return {};
  return make_error(Errc::invalid_input, Reason::build_failed, "the build ended well, but made no kernel module");
}

}  // namespace

Result<void> compile_modules(Programs& programs, const CompileRequest& request) {
  TRY_VOID(prepare(request));
  BuilderRun run;
  const Builder builder = Builder::container(request.builder);
  // The kernel release was checked to be a plain name; the path is ours.
  run.argv = {
      "/bin/sh",
      "-ec",
      "make -j\"$1\" -C \"/usr/lib/modules/$2/build\" M=\"$3\" KCFLAGS=\"$4\" KAFLAGS=\"$4\" modules; find \"$3\" "
      "-name '*.ko' -exec strip --strip-debug {} +",
      "build",
      std::to_string(parallel_jobs()),
      request.kernel_release,
      kBuildPlace,
      builder.needs_debug_info(request.kernel_release) ? "" : "-g0"};
  run.shared = request.work + kSource;
  run.log = request.work + kCompileLog;
  run.cancel_fd = request.cancel_fd;
  run.timeout_sec = request.timeout_sec;
  run.progress = request.progress;
  TRY(const Dir tree, Dir::open_root(run.shared));
  TRY_VOID(builder.run(programs, run));
  return collect(request, tree);
}

}  // namespace driverext
