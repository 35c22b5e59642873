// A builder: where a kernel's compiler and headers are, and how something is run there.
//
// Normally a root file system of its own, entered as a container: the compiler must be the one that the kernel was made
// with, and what source code brings along to be run is nobody's to trust. The host itself is an explicit choice.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "sys/programs.hpp"

namespace driverext {

/// Where what runs in a container sees the shared folder. Always the same, since compilers write paths into what they
/// make; and the path that hand-written makefiles expect.
constexpr const char* kBuildPlace = "/var/lib/dkms";

/// Hours: builds are off the critical path, and small machines are slow. One that hangs must end all the same.
constexpr unsigned kBuildTimeoutSec = 3 * 3600;

struct BuilderRun {
  std::vector<std::string> argv;
  std::string shared;  ///< absolute path of the one folder of the host that is there, and may be written
  std::vector<std::string> environment = {};  ///< NAME=VALUE; nothing of this program's own environment is passed on
  std::string log = {};  ///< absolute path: all that was said, also after a failure; empty: not kept
  unsigned timeout_sec = kBuildTimeoutSec;
  int cancel_fd = -1;  ///< readable: give up
  /// Told of each step of Kbuild as it comes.
  std::function<void(const std::string& what)> progress = [](const std::string&) {};
};

class Builder {
 public:
  /// `root`: absolute path of a root file system. It stays as it is.
  static Builder container(std::string root) { return Builder(std::move(root)); }
  /// No container: what is built can do whatever this process can.
  static Builder host() { return Builder({}); }
  /// As a person writes it: a directory, or "host".
  static Result<Builder> from_argument(const std::string& text);

  [[nodiscard]] bool is_host() const { return root_.empty(); }
  /// Its file system, as a Dir.
  [[nodiscard]] Result<Dir> root() const { return Dir::open_root(is_host() ? "/" : root_); }
  /// For messages.
  [[nodiscard]] std::string name() const { return is_host() ? "this host" : root_; }
  /// Where what runs sees `shared`.
  [[nodiscard]] std::string place_of(const std::string& shared) const { return is_host() ? shared : kBuildPlace; }
  /// Errors: Reason::builder_missing if it has no headers of that kernel (usr/lib/modules/RELEASE/build).
  [[nodiscard]] Result<void> require_kernel(const std::string& kernel_release) const;

  /// That kernel's configuration, as dkms finds it.
  [[nodiscard]] Result<std::string> kernel_config(const std::string& kernel_release) const;
  /// Whether something is made from a module's debugging information: type information if vmlinux is there, checksums
  /// of its symbols if the kernel has CONFIG_GENDWARFKSYMS. Else it is made only to be stripped, and would be three
  /// quarters of all that is written. A kernel whose configuration is not there may need it.
  [[nodiscard]] bool needs_debug_info(const std::string& kernel_release) const;

  /// Errors: Reason::build_failed with the compiler's first error; Errc::transient if it was interrupted;
  /// Errc::unsupported if containers cannot be made here.
  Result<void> run(Programs& programs, const BuilderRun& run) const;

 private:
  explicit Builder(std::string root) : root_(std::move(root)) {}
  std::string root_;
};

/// systemd-nspawn over the builder's root, with `shared` (an absolute path) at `place` inside; what is to be run
/// follows.
std::vector<std::string> container_command(const std::string& root, const std::string& shared,
                                           const std::string& place);

/// The line that says what went wrong: the first error, not the last line. Empty if there is none.
std::string first_compiler_error(const std::string& log);

/// How many compilers may run side by side here: one a processor that this process may use, if memory suffices.
long parallel_jobs();

}  // namespace driverext
