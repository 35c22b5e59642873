#include "acquire/compile.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/text.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxLog = size_t{8} << 20;
constexpr size_t kMaxLine = 4096;
// Hours: it is off the critical path, and small machines are slow. A build that hangs must end all the same.
constexpr unsigned kTimeoutSec = 3 * 3600;
// Each parallel compiler may need this much memory.
constexpr long kBytesPerJob = long{512} << 20;

long parallel_jobs() {
  const long processors = std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN));
  const long memory = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  return std::max(1L, std::min(processors, memory / kBytesPerJob));
}

// Told of Kbuild's lines ("  CC [M]  /build/x.o") as they come.
class LineReader {
 public:
  explicit LineReader(const CompileRequest& request) : request_(request) {}
  void take(std::string_view piece) {
    if (log_.size() < kMaxLog) log_ += piece;
    for (const char c : piece) {
      if (c != '\n') {
        if (line_.size() < kMaxLine) line_ += c;
        continue;
      }
      if (line_.starts_with("  ")) tell();
      line_.clear();
    }
  }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  void tell() {
    const std::string_view words = trim(line_);
    const size_t slash = words.find_last_of("/ ");  // older kernels print whole paths
    const std::string file(slash == std::string_view::npos ? words : words.substr(slash + 1));
    request_.progress(std::string(words.substr(0, words.find(' '))) + " " + file + " (step " +
                      std::to_string(++steps_) + ")");
  }
  const CompileRequest& request_;
  std::string line_;
  std::string log_;
  int steps_ = 0;
};

Result<std::vector<fs::path>> modules_in(const std::string& tree) {
  std::vector<fs::path> modules;
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    const bool is_file = fs::is_regular_file(it->symlink_status(error));
    if (!error && is_file && it->path().extension() == ".ko") modules.push_back(it->path());
  }
  if (error) return os_failure(error.value(), "cannot list " + tree);
  return modules;
}

Result<void> prepare(const CompileRequest& request) {
  const std::string source = request.work + "/source";
  std::error_code error;
  fs::copy(request.source, source, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) return os_failure(error.value(), "cannot copy the source to " + source);
  // What comes out must have been built here.
  TRY(const std::vector<fs::path> built_elsewhere, modules_in(source));
  for (const fs::path& module : built_elsewhere) {
    if (!fs::remove(module, error)) return os_failure(error.value(), "cannot remove " + module.string());
  }
  if (!fs::create_directory(request.work + kCompiledModules, error)) {
    return os_failure(error ? error.value() : EEXIST, "cannot make a directory in " + request.work);
  }
  return {};
}

// Wherever in the tree Kbuild left them.
Result<void> collect(const CompileRequest& request) {
  TRY(const std::vector<fs::path> modules, modules_in(request.work + "/source"));
  const fs::path target = request.work + kCompiledModules;
  for (const fs::path& module : modules) {
    std::error_code error;
    fs::rename(module, target / module.filename(), error);
    if (error) return os_failure(error.value(), "cannot collect " + module.string());
  }
  if (!modules.empty()) return {};
  return make_error(Errc::invalid_input, Reason::build_failed, "the build ended well, but made no kernel module");
}

}  // namespace

std::vector<std::string> container_command(const std::string& builder, const std::string& shared) {
  return {"systemd-nspawn", "--quiet", "--register=no", "--machine=driverext-" + std::to_string(::getpid()),
          "--keep-unit", "--as-pid2", "--console=pipe", "--private-network", "--resolv-conf=off", "--timezone=off",
          "--link-journal=no", "--no-new-privileges=yes",
          // Compilers need none of root's powers.
          "--drop-capability=all",
          "--read-only",  // it stays as it was signed
          "--tmpfs=/tmp",
          "--tmpfs=/var",  // where `shared` may need a place
          "--directory=" + builder, "--bind=" + shared};
}

std::string first_compiler_error(const std::string& log) {
  constexpr std::string_view kErrors[] = {": error: ", ": fatal error: ", "ERROR: modpost: "};
  std::string made;  // what make says of it comes after the compiler's own words
  for (const std::string& line : split(log, '\n')) {
    for (const std::string_view mark : kErrors) {
      if (line.find(mark) != std::string::npos) return std::string(trim(line));
    }
    if (made.empty() && line.find("*** ") != std::string::npos) made = trim(line);
  }
  return made;
}

Result<void> compile_modules(Programs& programs, const CompileRequest& request) {
  TRY_VOID(prepare(request));
  const std::string tree = request.work + "/source";
  std::vector<std::string> argv = container_command(request.builder, tree);
  // The kernel release was checked to be a plain name; the path is ours.
  argv.insert(argv.end(), {"/bin/sh", "-ec",
                           "make -j\"$1\" -C \"/usr/lib/modules/$2/build\" M=\"$3\" KCFLAGS=-g0 modules; find \"$3\" "
                           "-name '*.ko' -exec strip "
                           "--strip-debug {} +",
                           "build", std::to_string(parallel_jobs()), request.kernel_release, tree});
  LineReader reader(request);
  const Result<std::string> made = programs.run({.argv = std::move(argv),
                                                 .added_environment = {"LC_ALL=C"},
                                                 .timeout_sec = kTimeoutSec,
                                                 .cancel_fd = request.cancel_fd,
                                                 .on_output = [&](std::string_view piece) { reader.take(piece); }});
  std::ofstream(request.work + kCompileLog) << reader.log();
  if (!made) {
    const std::string said = first_compiler_error(reader.log());
    return make_error(Errc::invalid_input, Reason::build_failed, said.empty() ? made.error().message() : said);
  }
  return collect(request);
}

}  // namespace driverext
