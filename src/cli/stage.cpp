// driverext stage: make everything ready for a kernel that is not running yet.
#include <getopt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "acquire/acquire.hpp"
#include "channel/http.hpp"
#include "cli/verb.hpp"
#include "kernel/linux_kernel.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext stage --kernel=RELEASE\n"
    "Make sure that the store holds an image of the configured driver for a kernel that is not\n"
    "running yet: before an OS update's reboot. It is taken from the inbox, fetched from the\n"
    "channel, or built on this node. The running driver is not touched.\n"
    "\n"
    "      --kernel=RELEASE  the coming kernel release, as uname -r will print it\n"
    "  -h, --help            show this help\n"
    "\n"
    "Exit codes: 0 ready, 65 untrusted, 69 nothing fits that kernel, 75 try again later, 77 not root.\n";

const char* how_text(Acquired how) {
  switch (how) {
    case Acquired::present:
      return "in the store already";
    case Acquired::imported:
      return "imported from the inbox";
    case Acquired::fetched:
      return "fetched from the channel";
    case Acquired::built:
      return "built on this node";
  }
  return "?";
}

Result<int> stage(const std::string& kernel_release) {
  TRY(const Dir root, Dir::open_root("/"));
  TRY(const Facts facts, read_facts(root));
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  const std::unique_ptr<HostModules> host_modules =
      open_host_modules(root.path_of("usr/lib/modules/" + facts.kernel_release));
  const std::unique_ptr<Programs> programs = make_real_programs();
  const Host host{root, *kernel, *host_modules, *programs, static_cast<int64_t>(::time(nullptr)), kernel_clock_state()};
  HttpFetcher fetcher;
  std::string last;
  AcquireRequest request;
  request.kernel_release = kernel_release;
  request.progress = [&](Reason, const std::string& message) {
    if (message != last) std::fprintf(stderr, "%s\n", message.c_str());
    last = message;
  };
  request.remark = [](const std::string& message) { std::fprintf(stderr, "%s\n", message.c_str()); };
  TRY(const AcquireResult staged, acquire_image(host, fetcher, request));
  std::printf("Ready for %s: version %s, %s (root hash %s).\n", kernel_release.c_str(), staged.version.c_str(),
              how_text(staged.how), staged.root_hash.c_str());
  return 0;
}

}  // namespace

int stage(int argc, char** argv) {
  std::string kernel_release;
  static constexpr std::array kOptions = {
      option{"kernel", required_argument, nullptr, 'k'},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case 'k':
        kernel_release = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (kernel_release.empty()) return usage_error("--kernel=RELEASE is needed");
  if (::geteuid() != 0) {
    std::fputs("driverext: staging a driver needs root; run it with sudo\n", stderr);
    return static_cast<int>(ExitCode::not_permitted);
  }
  const Result<int> code = stage(kernel_release);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
