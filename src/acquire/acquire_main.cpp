#include "acquire/acquire_main.hpp"

#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <string_view>

#include "acquire/acquire.hpp"
#include "base/json.hpp"
#include "channel/http.hpp"
#include "config.h"
#include "kernel/linux_kernel.hpp"
#include "log/journal.hpp"
#include "log/notify.hpp"
#include "provisioner/acquisition.hpp"
#include "provisioner/config.hpp"
#include "provisioner/status.hpp"

namespace driverext {
namespace {

constexpr const char* kHelp =
    "Usage: acquire\n"
    "Fetch or build an image of the configured driver for the running kernel, then provision it.\n"
    "Run by driverext-acquire.service when the store holds no image that fits.\n"
    "\n"
    "  -h, --help        show this help\n"
    "      --version     show the version\n"
    "\n"
    "How far it is: driverext status\n";

constexpr uint64_t kTellEveryUsec = 1'000'000;
constexpr unsigned kRestartTimeoutSec = 300;

std::string_view how_text(Acquired how) {
  switch (how) {
    case Acquired::present:
      return "in the store already";
    case Acquired::imported:
      return "imported";
    case Acquired::fetched:
      return "fetched";
    case Acquired::built:
      return "built";
  }
  return "?";
}

// Keeps acquire.json and the unit's status text up to date, a few times a second at most.
class Teller {
 public:
  Teller(const Dir& root, std::string kernel_release) : root_(root) {
    acquisition_.kernel_release = std::move(kernel_release);
    acquisition_.started_usec = monotonic_usec();
  }

  void progress(Reason reason, const std::string& message) {
    const uint64_t now = monotonic_usec();
    const bool is_new = reason != acquisition_.reason || told_usec_ == 0;
    if (!is_new && now - told_usec_ < kTellEveryUsec) return;
    if (is_new) log_reason(reason, std::string(reason_info(reason).code) + ": " + message);
    told_usec_ = now;
    tell(reason, message);
  }

  void tell(Reason reason, const std::string& message) {
    acquisition_.reason = reason;
    acquisition_.message = message;
    notify_status(std::string(reason_info(reason).code) + ": " + message);
    if (const Result<void> written = write_acquisition(root_, acquisition_); !written) {
      log_message(Priority::warning, "how far it is was not written: " + written.error().message());
    }
  }

 private:
  const Dir& root_;
  Acquisition acquisition_;
  uint64_t told_usec_ = 0;
};

bool is_unloaded(const Dir& root) {
  const auto text = root.read_if_there(kStatusFile, kMaxStatusSize);
  if (!text || !*text) return false;
  const Result<Json> status = parse_json(**text, {.max_size = kMaxStatusSize});
  return status && status->is_object() && status->contains("reason") &&
         (*status)["reason"] == reason_info(Reason::unloaded).code;
}

// By the unit, so that its own state tells the outcome. Container engines are ordered after it, not bound to it: none
// of them is restarted.
void run_pipeline_again(const Dir& root, Programs& programs) {
  // Somebody has unloaded the driver on purpose, perhaps to take its hardware out.
  if (is_unloaded(root)) {
    log_message(Priority::notice, "the driver was unloaded meanwhile; to have it again: driverext provision");
    return;
  }
  const Result<std::string> restarted =
      programs.run({.argv = {"systemctl", "restart", "driverext.service"}, .timeout_sec = kRestartTimeoutSec});
  if (!restarted) log_message(Priority::info, "driverext.service did not come up: " + restarted.error().message());
}

int acquire(const Host& host, const std::string& kernel_release) {
  const std::optional<Acquisition> before = read_acquisition(host.root);
  Teller teller(host.root, kernel_release);
  // What is wrong with the configuration is told when it is used.
  const Result<Config> config = read_config(host.root);
  HttpLimits limits;
  if (config) limits.total_seconds = config->budget.fetch_sec;
  HttpFetcher fetcher(limits);
  AcquireRequest request;
  request.kernel_release = kernel_release;
  request.progress = [&](Reason reason, const std::string& message) { teller.progress(reason, message); };
  request.remark = [](const std::string& message) { log_message(Priority::notice, message); };
  const Result<AcquireResult> acquired = acquire_image(host, fetcher, request);
  if (acquired) {
    const std::string text =
        acquired->version + " for " + kernel_release + " was " + std::string(how_text(acquired->how));
    log_message(Priority::notice, text,
                {{FieldName::version, acquired->version},
                 {FieldName::root_hash, acquired->root_hash},
                 {FieldName::kernel_release, kernel_release}});
    teller.tell(Reason::provisioned, text);
    run_pipeline_again(host.root, host.programs);
    // It was put aside: perhaps there is a newer one later.
    const auto still_wanted = host.root.status(kAcquireWanted);
    return still_wanted && *still_wanted ? static_cast<int>(ExitCode::try_again) : 0;
  }
  const Reason reason = reason_of(acquired.error());
  const std::string message = acquired.error().message();
  log_reason(reason, message, {{FieldName::kernel_release, kernel_release}});
  teller.tell(reason, message);
  // Interrupted, or another one is at it: there is no outcome. The same answer as the last time is no news.
  const bool has_outcome = reason != Reason::building && reason != Reason::fetching;
  const bool is_news = has_outcome && (!before || before->reason != reason);
  if (is_news) run_pipeline_again(host.root, host.programs);
  if (reason == Reason::put_aside) return static_cast<int>(ExitCode::try_again);
  return static_cast<int>(reason_info(reason).exit_code);
}

}  // namespace

int acquire_main(int argc, char** argv) {
  const std::string_view option = argc > 1 ? argv[1] : "";
  if (option == "--help" || option == "-h" || option == "--version") {
    std::fputs(option == "--version" ? "driverext " DRIVEREXT_VERSION "\n" : kHelp, stdout);
    return 0;
  }
  if (argc > 1) {
    std::fprintf(stderr, "Unexpected argument: %s\nTry --help.\n", argv[1]);
    return static_cast<int>(ExitCode::usage);
  }
  if (::geteuid() != 0) {
    std::fputs("driverext: acquiring a driver needs root\n", stderr);
    return static_cast<int>(ExitCode::not_permitted);
  }
  // Nobody waits for it to end.
  notify_ready("looking for an image");
  const Result<Dir> root = Dir::open_root("/");
  const Result<Facts> facts = root ? read_facts(*root) : Result<Facts>(root.error());
  if (!facts) {
    log_message(Priority::error, facts.error().message());
    return static_cast<int>(ExitCode::failed);
  }
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(*root);
  const std::unique_ptr<HostModules> host_modules =
      open_host_modules(root->path_of("usr/lib/modules/" + facts->kernel_release));
  const std::unique_ptr<Programs> programs = make_real_programs();
  return acquire(
      {*root, *kernel, *host_modules, *programs, static_cast<int64_t>(::time(nullptr)), kernel_clock_state()},
      facts->kernel_release);
}

}  // namespace driverext
