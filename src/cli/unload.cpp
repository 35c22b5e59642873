// driverext unload: the driver goes, or whoever holds it is named.
#include <getopt.h>

#include <array>
#include <charconv>
#include <cstdio>

#include "base/text.hpp"
#include "cli/managed_node.hpp"
#include "cli/verb.hpp"
#include "kernel/linux_kernel.hpp"
#include "provisioner/config.hpp"
#include "provisioner/execute.hpp"
#include "provisioner/provision_lock.hpp"
#include "provisioner/unload/unload.hpp"
#include "sys/cancellation.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext unload [OPTION...]\n"
    "Unload the driver that /etc/driverext/driverext.toml names: stop its services, remove its modules\n"
    "and those that use them, then its device nodes, its CDI specification, its driver root and its\n"
    "image's mount. If somebody holds it, name each process with its unit and container, and each\n"
    "module, and change nothing.\n"
    "To have it again: driverext provision\n"
    "\n"
    "      --wait=SECONDS           wait this long until nobody holds it any more\n"
    "      --dry-run                print what would be done and who is in the way, change nothing\n"
    "      --json=pretty|short|off  print what was found and done as JSON\n"
    "      --root=PATH              be the node below PATH\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit codes: 0 done, or nothing was loaded, 1 it is in use, or something failed, 2 usage,\n"
    "75 a provision is running, 77 not root, 78 bad configuration.\n";

constexpr unsigned kMaxWaitSec = 86400;

enum class Act { carry_out, show };

struct Options {
  NodeOptions node;
  Act act = Act::carry_out;
  JsonMode json = JsonMode::off;
  unsigned wait_sec = 0;
};

std::string what_of(const UnloadFacts& facts) {
  return printable(facts.driver) + (facts.version.empty() ? "" : " " + printable(facts.version));
}

void print_in_use(const UnloadResult& result) {
  for (const std::string& holder : result.plan.in_use) std::fprintf(stderr, "  %s\n", holder.c_str());
  if (!result.facts.holders.all_seen) {
    std::fputs("  and perhaps others: not every process may be looked into by this user\n", stderr);
  }
}

void print_stays(const UnloadFacts& facts) {
  for (const std::string& sentence : facts.stays) std::printf("Left alone: %s.\n", printable(sentence).c_str());
}

void print_plan(const UnloadResult& result) {
  for (const PlannedUnload& step : result.plan.steps) {
    std::printf("%s: %s: %s\n", std::string(unload_step_name(step.kind)).c_str(), printable(step.subject).c_str(),
                printable(step.why).c_str());
  }
  print_stays(result.facts);
}

void print_reports(const UnloadResult& result, UnloadReport::Outcome outcome, std::FILE* to) {
  for (const UnloadReport& report : result.reports) {
    if (report.outcome != outcome || report.message.empty()) continue;
    std::fprintf(to, "  %s: %s\n", printable(report.step.subject).c_str(), printable(report.message).c_str());
  }
}

// Modules of others: nobody brings them back by themselves.
void print_others(const UnloadFacts& facts) {
  std::string names;
  for (const UnloadModule& module : facts.modules) {
    if (module.path.empty() && module.whose == UnloadModule::Whose::other) names += " " + printable(module.use.name);
  }
  if (!names.empty()) std::printf("Unloaded with it, and not loaded again by driverext:%s\n", names.c_str());
}

void print_done(const UnloadResult& result) {
  if (result.facts.modules.empty()) {
    std::printf("%s was not loaded; what it had left was taken away.\n", what_of(result.facts).c_str());
  } else {
    std::printf("%s is unloaded.\n", what_of(result.facts).c_str());
  }
  print_others(result.facts);
  print_reports(result, UnloadReport::Outcome::done, stdout);
  print_stays(result.facts);
  std::puts("To have it again: driverext provision");
}

int finish(const Options& options, const UnloadResult& result) {
  using Outcome = UnloadResult::Outcome;
  const bool is_fine = result.outcome == Outcome::unloaded || result.outcome == Outcome::nothing_loaded;
  if (options.json != JsonMode::off) {
    print_json(unload_to_json(result), options.json);
    return is_fine ? 0 : static_cast<int>(ExitCode::failed);
  }
  if (options.act == Act::show) print_plan(result);
  if (result.outcome == Outcome::nothing_loaded) {
    std::printf("%s is not loaded, and nothing of it is left.\n", what_of(result.facts).c_str());
    return 0;
  }
  if (options.act == Act::show && is_fine) return 0;
  if (is_fine) {
    print_done(result);
    return 0;
  }
  if (result.error) {
    std::fprintf(stderr, "driverext: %s\n", result.error->message().c_str());
  } else {
    std::fprintf(stderr, "driverext: %s is unloaded, but not all of it could be taken away\n",
                 what_of(result.facts).c_str());
  }
  if (result.outcome == Outcome::in_use) print_in_use(result);
  print_reports(result, UnloadReport::Outcome::failed, stderr);
  const std::optional<Reason> reason = result.error ? result.error->reason : std::nullopt;
  if (reason) {
    const ReasonInfo& info = reason_info(*reason);
    std::fprintf(stderr, "%s: %s\n", std::string(info.code).c_str(), std::string(info.advice).c_str());
  }
  return static_cast<int>(ExitCode::failed);
}

Result<int> act(const Options& options) {
  TRY(const Dir root, Dir::open_root(options.node.root));
  TRY(const Config config, read_config(root));
  TRY(const Definition definition, read_definition(root, config.driver, config.definition));
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  const std::unique_ptr<Programs> programs = make_real_programs();
  UnloadRequest request{.host = {root, *kernel, *programs, definition}, .kernel_release = {}};
  if (options.act == Act::show) {
    TRY(const UnloadResult planned, describe_unload(request.host));
    return finish(options, planned);
  }
  TRY(const Facts facts, read_facts(root));
  request.kernel_release = facts.kernel_release;
  request.lock = [&root] { return lock_provision(root, "a provision is running; try again when it has ended"); };
  std::unique_ptr<HolderWatch> watch;
  if (options.wait_sec != 0) {
    TRY(watch, make_holder_watch(root));
    request.watch = watch.get();
    request.wait_until_usec = monotonic_usec() + uint64_t{options.wait_sec} * 1'000'000;
    request.on_wait = [](const std::vector<std::string>& in_use) {
      for (const std::string& holder : in_use) std::fprintf(stderr, "waiting: %s\n", holder.c_str());
    };
  }
  // Told to stop half-way, it takes back what it did.
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  request.cancel_fd = cancellation.fd();
  TRY(const UnloadResult result, unload_driver(request));
  return finish(options, result);
}

Result<unsigned> parse_wait(const std::string& text) {
  unsigned seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc() || end != text.data() + text.size() || seconds == 0 || seconds > kMaxWaitSec) {
    return make_error(Errc::invalid_input, "--wait takes 1 to " + std::to_string(kMaxWaitSec) + " seconds");
  }
  return seconds;
}

}  // namespace

int unload(int argc, char** argv) {
  Options options;
  enum : int { kWait = 256, kDryRun, kJson, kRoot };
  static constexpr std::array kOptions = {
      option{"wait", required_argument, nullptr, kWait}, option{"dry-run", no_argument, nullptr, kDryRun},
      option{"json", required_argument, nullptr, kJson}, option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},         option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kWait: {
        const Result<unsigned> parsed = parse_wait(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        options.wait_sec = *parsed;
        break;
      }
      case kDryRun:
        options.act = Act::show;
        break;
      case kJson: {
        const Result<JsonMode> parsed = parse_json_mode(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        options.json = *parsed;
        break;
      }
      case kRoot:
        options.node.root = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (options.act == Act::show && options.wait_sec != 0) return usage_error("--wait and --dry-run exclude each other");
  if (options.act == Act::carry_out) {
    if (const int refused = refuse_without_root(options.node, "unloading a driver"); refused != 0) return refused;
  }
  const Result<int> code = act(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
