#include "kbuild/dkms_build.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "kbuild/dkms_conf.hpp"
#include "kbuild/dkms_fit.hpp"
#include "kbuild/dkms_shell.hpp"
#include "kbuild/source_tree.hpp"
#include "modules/module_file.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

// Below `work`: what the builder sees, and in it the tree until its name is known. A package's name has no dot in
// front.
constexpr const char* kShared = "/shared";
constexpr const char* kTree = ".tree";
// Below `work`, too: what a shell that is asked what dkms.conf says sees instead. It owns what is there, and may leave
// links for the host to walk into: nothing of it but the reply is looked at.
constexpr const char* kAsked = "/asked";
constexpr const char* kReply = ".values";
constexpr const char* kSourceTree = ".source";
constexpr const char* kCompressions[] = {"", ".xz", ".zst", ".gz"};

// The order and the shell are dkms's own. After the eleven arguments below: patches, "--", modules to be stripped.
constexpr const char* kScript = R"(kernelver=$1 kernel_source_dir=$2 arch=$3 dkms_tree=$4 source_tree=$5
module=$6 module_version=$7
driverext_jobs=$8 driverext_make=$9 driverext_pre=${10} driverext_post=${11}
shift 11
cd "$dkms_tree/$module/$module_version/build" || exit
while [ "$1" != -- ]; do
  echo "applying patches/$1"
  patch --force -p1 <"patches/$1" || exit
  shift
done
shift
run_own() {
  [ -n "$2" ] || return 0
  if [ ! -x "${2%% *}" ]; then echo "warning: the $1 program ${2%% *} cannot be executed"; return 0; fi
  echo "running $1: $2"
  bash -c "$PWD/$2"
}
run_own PRE_BUILD "$driverext_pre" || exit
driverext_make=${driverext_make/#make/make -j$driverext_jobs KERNELRELEASE=$kernelver}
echo "$driverext_make"
( eval "$driverext_make" ) </dev/null || exit
for driverext_module; do
  if [ -e "$driverext_module" ]; then strip --strip-debug "$driverext_module" || exit; fi
done
run_own POST_BUILD "$driverext_post"
)";

class DkmsBuild {
 public:
  DkmsBuild(Programs& programs, const DkmsRequest& request)
      : programs_(programs), request_(request), builder_(request.builder), shared_(request.work + kShared) {}

  Result<DkmsBuilt> run() {
    TRY_VOID(check_name("kernel release", request_.kernel_release));
    TRY_VOID(prepare());
    TRY_VOID(read_conf().with_context("dkms.conf"));
    TRY_VOID(check_fit());
    TRY_VOID(place());
    request_.progress("building " + conf_.package_name + " " + conf_.package_version);
    TRY_VOID(build());
    return collect();
  }

 private:
  Result<void> prepare() {
    utsname names{};
    if (::uname(&names) != 0) return os_failure(errno, "cannot ask for the machine's architecture");
    const std::string place = builder_.place_of(shared_);
    variables_ = {request_.kernel_release, "/lib/modules/" + request_.kernel_release + "/build", names.machine, place,
                  place + "/" + kSourceTree};
    request_.progress("reading the source");
    TRY(const std::string source,
        find_dkms_source(programs_, request_.source, request_.work + "/package", request_.cancel_fd));
    TRY(identity_, identify_source(source, request_.cancel_fd));
    return copy_below(shared_, source);
  }

  [[nodiscard]] Result<void> copy_below(const std::string& folder, const std::string& source) const {
    std::error_code error;
    if (!fs::create_directory(folder, error)) {
      return os_failure(error ? error.value() : EEXIST, "cannot make " + folder);
    }
    return copy_source(source, folder + "/" + kTree, request_.cancel_fd);
  }

  Result<void> read_conf() {
    TRY(const Dir tree, Dir::open_root(shared_ + "/" + kTree));
    TRY(const std::string text, tree.read_file(kDkmsConf, kMaxShellText));
    TRY(DkmsReading reading, read_dkms_conf(text, variables_));
    if (reading.needs_shell && builder_.is_host()) {
      return make_error(Errc::unsupported, "it is a shell program (" + why(*reading.needs_shell) +
                                               "), which is never run on the host: name a builder root file system "
                                               "(--builder=DIR), in which it is run as a container");
    }
    TRY_VOID(builder_.require_kernel(request_.kernel_release));
    conf_ = std::move(reading.conf);
    return reading.needs_shell ? evaluate_conf(*reading.needs_shell) : Result<void>();
  }

  static std::string why(const NeedsShell& shell) { return "line " + std::to_string(shell.line) + ": " + shell.why; }

  Result<void> evaluate_conf(const NeedsShell& shell) {
    request_.progress("asking a shell in the builder what dkms.conf says (" + why(shell) + ")");
    const std::string asked = request_.work + kAsked;
    TRY_VOID(copy_below(asked, shared_ + "/" + kTree));
    const DkmsShellRequest request{asked, kTree, kReply, variables_, request_.cancel_fd};
    TRY(const ShellArrays values, evaluate_dkms_conf(programs_, builder_, request));
    TRY(conf_, dkms_conf_of(values));
    std::error_code error;
    fs::remove_all(asked, error);  // follows no links
    return error ? os_failure(error.value(), "cannot remove " + asked) : Result<void>();
  }

  Result<void> check_fit() {
    std::string config;
    if (!conf_.exclusive.config.empty()) {
      TRY(config,
          builder_.kernel_config(request_.kernel_release).with_context("BUILD_EXCLUSIVE_CONFIG cannot be checked"));
    }
    TRY_VOID(check_exclusive(conf_.exclusive, request_.kernel_release, variables_.arch, config)
                 .with_context(conf_.package_name + " " + conf_.package_version));
    TRY(make_line_, make_line_for(conf_, request_.kernel_release));
    TRY(patches_, patches_for(conf_, request_.kernel_release));
    const std::string build = variables_.dkms_tree + "/" + conf_.package_name + "/" + conf_.package_version + "/build";
    if (make_line_.empty()) make_line_ = "make -C " + variables_.kernel_source_dir + " M=" + build;
    return {};
  }

  // To where dkms would have the tree. Nothing has run in `shared_` yet, and afterwards the host uses no path in it.
  Result<void> place() {
    const fs::path home = fs::path(shared_) / conf_.package_name / conf_.package_version;
    const fs::path source = fs::path(shared_) / kSourceTree;
    std::error_code error;
    fs::create_directories(home, error);
    if (!error) fs::rename(fs::path(shared_) / kTree, home / "build", error);
    if (!error) fs::create_symlink("build", home / "source", error);
    if (!error) fs::create_directory(source, error);
    const std::string name = conf_.package_name + "-" + conf_.package_version;
    if (!error)
      fs::create_symlink("../" + conf_.package_name + "/" + conf_.package_version + "/build", source / name, error);
    if (!error) fs::create_directory(request_.work + "/modules", error);
    if (error) return os_failure(error.value(), "cannot lay out " + shared_);
    TRY(tree_, Dir::open_root(home / "build"));
    return {};
  }

  [[nodiscard]] uint64_t epoch() const { return request_.source_date_epoch.value_or(identity_.newest); }

  // Kbuild reads these; they are all that two builds could differ in.
  [[nodiscard]] std::vector<std::string> environment() const {
    const auto seconds = static_cast<time_t>(epoch());
    tm date{};
    ::gmtime_r(&seconds, &date);
    std::array<char, 64> text{};
    (void)std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &date);
    std::string flags = "-ffile-prefix-map=" + shared_ + "=" + kBuildPlace;
    if (!builder_.is_host()) flags.clear();
    const bool keeps_debug_info =
        std::any_of(conf_.modules.begin(), conf_.modules.end(), [](const auto& m) { return m.strip == Strip::no; });
    if (!keeps_debug_info && !builder_.needs_debug_info(request_.kernel_release))
      flags += flags.empty() ? "-g0" : " -g0";
    return {"SOURCE_DATE_EPOCH=" + std::to_string(epoch()),
            "KBUILD_BUILD_TIMESTAMP=" + std::string(text.data()),
            "KBUILD_BUILD_USER=driverext",
            "KBUILD_BUILD_HOST=driverext",
            "KCFLAGS=" + flags,
            "KAFLAGS=" + flags};
  }

  Result<void> build() {
    BuilderRun run;
    run.argv = {"bash",
                "--noprofile",
                "--norc",
                "-c",
                kScript,
                "dkms",
                variables_.kernel_release,
                variables_.kernel_source_dir,
                variables_.arch,
                variables_.dkms_tree,
                variables_.source_tree,
                conf_.package_name,
                conf_.package_version,
                std::to_string(parallel_jobs()),
                make_line_,
                conf_.pre_build,
                conf_.post_build};
    run.argv.insert(run.argv.end(), patches_.begin(), patches_.end());
    run.argv.push_back("--");
    for (const DkmsModule& module : conf_.modules) {
      if (module.strip == Strip::yes) run.argv.push_back(module.built_location + module.built_name + ".ko");
    }
    run.shared = shared_;
    run.environment = environment();
    run.log = request_.work + kDkmsLog;
    run.timeout_sec = request_.timeout_sec;
    run.cancel_fd = request_.cancel_fd;
    run.progress = request_.progress;
    return builder_.run(programs_, run).with_context(conf_.package_name + " " + conf_.package_version);
  }

  // Opens the file that a module was built as. Links stay inside the tree.
  static Result<std::optional<std::string>> built_suffix(const Dir& tree, const std::string& path) {
    for (const char* compression : kCompressions) {
      TRY(const auto status, tree.status(path + ".ko" + compression));
      if (status && S_ISREG(status->st_mode)) return std::optional<std::string>(std::string(".ko") + compression);
    }
    return std::optional<std::string>();
  }

  Result<DkmsBuilt> collect() {
    DkmsBuilt built;
    built.modules = request_.work + "/modules";
    built.package_name = conf_.package_name;
    built.package_version = conf_.package_version;
    built.source_digest = identity_.digest;
    TRY(const Dir target, Dir::open_root(built.modules));
    std::string missing;
    for (const DkmsModule& module : conf_.modules) {
      const std::string path = module.built_location + module.built_name;
      TRY(const std::optional<std::string> suffix, built_suffix(*tree_, path));
      if (!suffix) {
        missing += (missing.empty() ? "" : ", ") + path + ".ko";
        continue;
      }
      TRY(const UniqueFd fd, tree_->open_no_follow(path + *suffix, O_RDONLY | O_NONBLOCK));
      TRY(const std::string bytes, read_fd(fd.get(), kMaxModuleFile, path));
      built.files.push_back(module.name + *suffix);
      TRY_VOID(target.write_atomic(built.files.back(), bytes, 0644));
      TRY_VOID(check_module(built, built.files.back()));
    }
    if (missing.empty()) return built;
    return make_error(Errc::invalid_input, Reason::build_failed,
                      conf_.package_name + ": the build ended well, but did not make " + missing +
                          ", which dkms.conf names; see what it said");
  }

  Result<void> check_module(DkmsBuilt& built, const std::string& file) {
    const std::string path = built.modules + "/" + file;
    if (file.ends_with(".ko")) {
      TRY(const ModuleInfo info, read_module_file(path));
      if (info.kernel_release() != request_.kernel_release) {
        return make_error(Errc::incompatible, Reason::build_failed,
                          file + " was built for " + info.kernel_release() + ", not for " + request_.kernel_release);
      }
      if (built.license.empty()) built.license = info.license;
    }
    const timespec when{static_cast<time_t>(epoch()), 0};
    const std::array<timespec, 2> times = {when, when};
    if (::utimensat(AT_FDCWD, path.c_str(), times.data(), 0) == 0) return {};
    return os_failure(errno, "cannot set the time of " + path);
  }

  Programs& programs_;
  const DkmsRequest& request_;
  const Builder& builder_;
  std::string shared_;
  DkmsVariables variables_;
  SourceIdentity identity_;
  DkmsConf conf_;
  std::string make_line_;
  std::vector<std::string> patches_;
  std::optional<Dir> tree_;  ///< opened before anything ran: who runs there may put links in its path's place
};

}  // namespace

Result<DkmsBuilt> build_dkms(Programs& programs, const DkmsRequest& request) {
  return DkmsBuild(programs, request).run();
}

}  // namespace driverext
