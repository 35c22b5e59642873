#include "kbuild/builder.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxConfig = size_t{4} << 20;
constexpr size_t kMaxLog = size_t{8} << 20;
constexpr size_t kMaxLine = 4096;
// Each parallel compiler may need this much memory.
constexpr long kBytesPerJob = long{512} << 20;

// Two blanks and a verb in capitals; compilers indent what they quote, too.
bool is_step(const std::string& line) {
  return line.size() > 3 && line.starts_with("  ") && line[2] >= 'A' && line[2] <= 'Z';
}

// Told of Kbuild's lines ("  CC [M]  /build/x.o") as they come.
class LineReader {
 public:
  explicit LineReader(const BuilderRun& run) : run_(run) {}
  void take(std::string_view piece) {
    if (log_.size() < kMaxLog) log_ += piece;
    for (const char c : piece) {
      if (c != '\n') {
        if (line_.size() < kMaxLine) line_ += c;
        continue;
      }
      if (is_step(line_)) tell();
      line_.clear();
    }
  }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  void tell() {
    const std::string_view words = trim(line_);
    const size_t slash = words.find_last_of("/ ");  // older kernels print whole paths
    const std::string file(slash == std::string_view::npos ? words : words.substr(slash + 1));
    run_.progress(std::string(words.substr(0, words.find(' '))) + " " + file + " (step " + std::to_string(++steps_) +
                  ")");
  }
  const BuilderRun& run_;
  std::string line_;
  std::string log_;
  int steps_ = 0;
};

// systemd-nspawn takes ":" as a separator.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ':' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

Error failure_of(const BuilderRun& run, const Error& failed, const std::string& log) {
  if (failed.code == Errc::transient && run.cancel_fd >= 0 && is_readable(run.cancel_fd)) return failed;
  if (failed.os_error == ENOENT) {
    return make_error(Errc::unsupported, Reason::build_failed,
                      failed.message() + "; a builder root is entered with systemd-nspawn (package systemd-container)");
  }
  const std::string said = first_compiler_error(log);
  return make_error(Errc::invalid_input, Reason::build_failed, said.empty() ? failed.message() : said);
}

}  // namespace

long parallel_jobs() {
  cpu_set_t own;  // fewer than there are if somebody said so; unknown where there are more than fit
  const bool known = ::sched_getaffinity(0, sizeof(own), &own) == 0;
  const long processors = std::max(1L, known ? CPU_COUNT(&own) : ::sysconf(_SC_NPROCESSORS_ONLN));
  const long memory = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  return std::max(1L, std::min(processors, memory / kBytesPerJob));
}

std::vector<std::string> container_command(const std::string& root, const std::string& shared,
                                           const std::string& place) {
  return {"systemd-nspawn", "--quiet", "--register=no", "--machine=driverext-" + std::to_string(::getpid()),
          "--hostname=driverext",  // not the machine's name: sources write it into what they make
          "--keep-unit", "--as-pid2", "--console=pipe", "--private-network", "--resolv-conf=off", "--timezone=off",
          "--link-journal=no", "--no-new-privileges=yes",
          // Compilers need none of root's powers.
          "--drop-capability=all",
          "--read-only",  // it stays as it was signed
          "--tmpfs=/tmp",
          "--tmpfs=/var",  // where `place` may have to be made
          "--directory=" + root, "--bind=" + escaped(shared) + ":" + escaped(place)};
}

std::string first_compiler_error(const std::string& log) {
  constexpr std::string_view kErrors[] = {": error: ", ": fatal error: ", "ERROR: modpost: "};
  // What other tools and make say counts only if no compiler said anything.
  constexpr std::string_view kOthers[] = {"patch: **** ", " FAILED at ", ": command not found", "*** "};
  const auto has_one_of = [](const std::string& line, std::span<const std::string_view> marks) {
    return std::any_of(marks.begin(), marks.end(),
                       [&](std::string_view mark) { return line.find(mark) != std::string::npos; });
  };
  std::string other;
  for (const std::string& line : split(log, '\n')) {
    if (has_one_of(line, kErrors)) return std::string(trim(line));
    if (other.empty() && has_one_of(line, kOthers)) other = trim(line);
  }
  return other;
}

Result<Builder> Builder::from_argument(const std::string& text) {
  if (text == "host") return host();
  std::error_code error;
  const std::filesystem::path root = std::filesystem::canonical(text, error);
  if (error) return os_failure(error.value(), "cannot open the builder " + text);
  if (root == "/") return make_error(Errc::invalid_input, "this host itself as the builder is called \"host\"");
  if (!std::filesystem::is_directory(root / "usr", error)) {
    return make_error(Errc::invalid_input, text + " is no root file system: there is no usr in it");
  }
  return container(root.string());
}

Result<void> Builder::require_kernel(const std::string& kernel_release) const {
  TRY_VOID(check_name("kernel release", kernel_release));
  TRY(const Dir dir, root());
  if (dir.open_dir("usr/lib/modules/" + kernel_release + "/build")) return {};
  TRY(const std::vector<std::string> all, dir.list("usr/lib/modules"));
  std::string there;
  for (const std::string& release : all) {
    if (dir.open_dir("usr/lib/modules/" + release + "/build")) there += (there.empty() ? "" : ", ") + release;
  }
  return make_error(Errc::not_found, Reason::builder_missing,
                    name() + " has no headers of kernel " + kernel_release + " (usr/lib/modules/" + kernel_release +
                        "/build)" + (there.empty() ? "" : "; it has those of " + there));
}

Result<std::string> Builder::kernel_config(const std::string& kernel_release) const {
  TRY(const Dir dir, root());
  const std::string headers = "usr/lib/modules/" + kernel_release + "/build/.config";
  for (const std::string& name : {headers, "boot/config-" + kernel_release}) {
    TRY(std::optional<std::string> config, dir.read_if_there(name, kMaxConfig));
    if (config) return *std::move(config);
  }
  return make_error(Errc::not_found, name() + " has no " + headers);
}

bool Builder::needs_debug_info(const std::string& kernel_release) const {
  const Result<Dir> dir = root();
  if (dir && dir->open_file("usr/lib/modules/" + kernel_release + "/build/vmlinux", O_PATH)) return true;
  const Result<std::string> config = kernel_config(kernel_release);
  return !config || ("\n" + *config).find("\nCONFIG_GENDWARFKSYMS=y") != std::string::npos;
}

Result<void> Builder::run(Programs& programs, const BuilderRun& run) const {
  std::vector<std::string> argv;
  if (!is_host()) argv = container_command(root_, run.shared, kBuildPlace);
  argv.insert(argv.end(),
              {"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C", "SHELL=/bin/sh"});
  argv.insert(argv.end(), run.environment.begin(), run.environment.end());
  argv.insert(argv.end(), run.argv.begin(), run.argv.end());
  LineReader reader(run);
  const Result<std::string> ran = programs.run({.argv = std::move(argv),
                                                .added_environment = {"LC_ALL=C"},
                                                .timeout_sec = run.timeout_sec,
                                                .cancel_fd = run.cancel_fd,
                                                .on_output = [&](std::string_view piece) { reader.take(piece); }});
  if (!run.log.empty()) std::ofstream(run.log) << reader.log();
  if (ran) return {};
  return failure_of(run, ran.error(), reader.log());
}

}  // namespace driverext
