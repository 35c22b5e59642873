// The boot service's edge: options in; journal, sd_notify, status file and exit code out.
#include <getopt.h>
#include <unistd.h>

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <system_error>
#include <thread>

#include "config.h"
#include "kernel/linux_kernel.hpp"
#include "log/journal.hpp"
#include "log/notify.hpp"
#include "provisioner/config.hpp"
#include "provisioner/device_event.hpp"
#include "provisioner/management.hpp"
#include "provisioner/provision.hpp"
#include "provisioner/provision_lock.hpp"
#include "provisioner/stopped_daemons.hpp"
#include "sys/cancellation.hpp"

namespace driverext {
namespace {

constexpr const char* kHelp =
    "Usage: provision [OPTION...]\n"
    "Provision the driver that /etc/driverext/driverext.toml names: verify its extension image,\n"
    "attach it, load its modules. Run at boot by driverext.service.\n"
    "\n"
    "      --dry-run     print the plan, change nothing\n"
    "      --root=PATH   look for files below PATH\n"
    "  -h, --help        show this help\n"
    "      --version     show the version\n"
    "\n"
    "Exit codes: 0 provisioned, 1 a step failed, 2 usage, 65 untrusted, 69 no image for this kernel,\n"
    "75 an image is being fetched or built or another provision is running, 77 not root, 78 bad configuration.\n"
    "The result is kept for: driverext status\n";

constexpr rlim_t kOpenFiles = 65536;

int exit_with(ExitCode code) { return static_cast<int>(code); }

class Announcer final : public Progress {
 public:
  void step_begins(const PlannedStep& step) override {
    notify_status(std::string(step_name(step.kind)) + ": " + step.why);
  }
  void step_ended(const StepReport& report) override {
    const bool failed = report.outcome == StepOutcome::failed;
    const std::string name(step_name(report.kind));
    log_message(failed ? Priority::warning : Priority::info,
                name + " " + std::string(step_outcome_name(report.outcome)) + ": " + report.message,
                {{FieldName::step, name},
                 {FieldName::outcome, std::string(step_outcome_name(report.outcome))},
                 {FieldName::duration_usec, std::to_string(report.duration_usec)}});
  }
};

void announce(const Status& status) {
  const ReasonInfo& info = reason_info(status.reason);
  for (const Status::Rejected& rejected : status.rejected) {
    log_message(Priority::warning, "refused " + rejected.path + ": " + rejected.message,
                {{FieldName::image, rejected.path}, {FieldName::reason, rejected.reason}});
  }
  std::vector<Field> fields = {{FieldName::driver, status.driver}, {FieldName::kernel_release, status.kernel_release}};
  if (status.image) {
    fields.push_back({FieldName::version, status.image->version});
    fields.push_back({FieldName::root_hash, status.image->root_hash});
    fields.push_back({FieldName::signer, status.image->signer});
  }
  const std::string line = std::string(outcome_name(info.outcome)) + ": " + status.message;
  log_reason(status.reason, info.outcome == Outcome::provisioned ? line : line + " [" + std::string(info.code) + "]",
             std::move(fields));
}

// The store may hold more images than a process may open by default.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kOpenFiles);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A configuration that cannot be read is told by the provision itself.
Budget budget_of(const Dir& root) {
  const Result<Config> config = read_config(root);
  return config ? config->budget : Budget();
}

// Whatever the provision waits for, a disk or a module that hangs: once its time is over, what is ordered after the
// unit begins. The result is told when there is one.
class BootGoesOn {
 public:
  explicit BootGoesOn(uint64_t deadline_usec) {
    try {
      thread_ = std::thread([this, deadline_usec] { wait(deadline_usec); });
    } catch (const std::system_error&) {  // no room for a thread: then systemd's own limit is all there is
    }
  }
  BootGoesOn(const BootGoesOn&) = delete;
  BootGoesOn& operator=(const BootGoesOn&) = delete;
  ~BootGoesOn() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    ended_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void wait(uint64_t deadline_usec) {
    const uint64_t now = monotonic_usec();
    const std::chrono::microseconds left(deadline_usec > now ? deadline_usec - now : 0);
    std::unique_lock lock(mutex_);
    if (ended_.wait_for(lock, left, [this] { return is_over_; })) return;
    notify_ready("the driver is still being provisioned; the boot goes on without it");
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;
  std::thread thread_;
};

std::string unit_status(const Status& status) {
  const ReasonInfo& info = reason_info(status.reason);
  if (info.outcome == Outcome::provisioned) return "provisioned: " + status.message;
  return std::string(outcome_name(info.outcome)) + " (" + std::string(info.code) + "): " + status.message + ". " +
         std::string(info.advice);
}

}  // namespace

int provision_main(int argc, char** argv) {
  std::string root_path = "/";
  bool dry_run = false;
  bool devices_only = false;
  enum : int { kDryRun = 256, kDevices, kRoot, kVersion };
  static constexpr std::array kOptions = {
      option{"dry-run", no_argument, nullptr, kDryRun},
      option{"devices", no_argument, nullptr, kDevices},  // for driverext-devices.service
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{"version", no_argument, nullptr, kVersion},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kDryRun:
        dry_run = true;
        break;
      case kDevices:
        devices_only = true;
        break;
      case kRoot:
        root_path = optarg;
        break;
      case kVersion:
        std::puts("driverext " DRIVEREXT_VERSION);
        return 0;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        std::fputs("Try --help.\n", stderr);
        return exit_with(ExitCode::usage);
    }
  }
  if (optind != argc) {
    std::fprintf(stderr, "Unexpected argument: %s\nTry --help.\n", argv[optind]);
    return exit_with(ExitCode::usage);
  }
  if (::geteuid() != 0 && !dry_run) {
    std::fputs("driverext: loading a driver needs root; run it with sudo\n", stderr);
    return exit_with(ExitCode::not_permitted);
  }

  const Result<Dir> root = Dir::open_root(root_path);
  if (!root) {
    std::fprintf(stderr, "driverext: %s\n", root.error().message().c_str());
    return exit_with(ExitCode::failed);
  }
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(*root);
  if (devices_only && !dry_run) return device_event_main(*root, *kernel);
  const Result<Facts> facts = read_facts(*root);
  const std::unique_ptr<HostModules> host_modules =
      open_host_modules(root->path_of("usr/lib/modules/" + (facts ? facts->kernel_release : "")));
  const std::unique_ptr<Programs> programs = make_real_programs();
  Host host{*root, *kernel, *host_modules, *programs, static_cast<int64_t>(::time(nullptr)), kernel_clock_state()};

  if (dry_run) {
    const Result<PlanText> plan = describe_plan(host);
    if (!plan) {
      std::fprintf(stderr, "driverext: %s\n", plan.error().message().c_str());
      return exit_with(reason_info(reason_of(plan.error())).exit_code);
    }
    std::fputs(plan->text.c_str(), stdout);
    return exit_with(reason_info(plan->outcome).exit_code);
  }

  host.deadline_usec = monotonic_usec() + uint64_t{budget_of(*root).boot_sec} * 1'000'000;
  const BootGoesOn boot_goes_on(host.deadline_usec);
  const Result<UniqueFd> lock = lock_provision(*root, "another provision is running");
  if (!lock) {
    std::fprintf(stderr, "driverext: %s\n", lock.error().message().c_str());
    return exit_with(lock.error().code == Errc::transient ? ExitCode::try_again : ExitCode::failed);
  }
  // So that there is one to put images into. If it cannot be made, what follows will say so.
  (void)root->make_dirs(kInbox, 0755);
  // Stopped half-way, it takes back what it did: an image that was only interrupted is none that failed.
  const Result<Cancellation> cancellation = Cancellation::catch_signals();
  if (cancellation) host.cancel_fd = cancellation->fd();
  notify_status("looking at the host and its images");
  raise_file_limit();
  Announcer announcer;
  const Status status = provision(host, announcer);
  announce(status);
  if (const Result<void> written = write_status(*root, status); !written) {
    log_message(Priority::warning, "the status file was not written: " + written.error().message());
  }
  if (status.reason == Reason::provisioned) {
    const Result<void> started = start_stopped_daemons(*root, *programs);
    if (!started) log_message(Priority::warning, "its services do not run again: " + started.error().message());
  }
  const ReasonInfo& info = reason_info(status.reason);
  // The boot goes on while an image is being fetched, built or waited for: the unit is up, and says what it waits for.
  const bool pending = info.exit_code == ExitCode::try_again;
  if (info.outcome == Outcome::provisioned || pending) {
    notify_ready(unit_status(status));
  } else {
    notify_status(unit_status(status));
  }
  return exit_with(info.exit_code);
}

}  // namespace driverext
