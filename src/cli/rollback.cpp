// driverext rollback: go back to the image before the one that is in use.
#include <getopt.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "cli/managed_node.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext rollback [OPTION...]\n"
    "Put the image that is in use aside, for one kernel, so that the one before it is used again, or\n"
    "the next best that is here. The running driver is not touched: it is exchanged at the next boot,\n"
    "or by driverext unload, then systemctl restart driverext.\n"
    "To bring it back: driverext retry ROOTHASH\n"
    "\n"
    "      --kernel=RELEASE  roll back on this kernel (default: the running one)\n"
    "      --force           also if there is no other image, and so no driver\n"
    "      --root=PATH       be the node below PATH\n"
    "  -h, --help            show this help\n"
    "\n"
    "Exit codes: 0 done, 1 nothing to roll back, 69 there is no other image, 75 a provision is running,\n"
    "77 not root.\n";

Result<int> roll_back(const NodeOptions& options, Insistence insistence) {
  return with_locked_node(options, [&](const Dir& root, const Survey& node) -> Result<int> {
    TRY(const RollbackDecision decision, decide_rollback(node, static_cast<int64_t>(::time(nullptr)), insistence));
    TRY_VOID(write_memory(root, decision.state));
    std::printf("Put aside on %s: %s %s\n", node.facts.kernel_release.c_str(), decision.image.driver.c_str(),
                image_text(decision.image.version, decision.image.root_hash).c_str());
    print_next(node, decision.state);
    return 0;
  });
}

}  // namespace

int rollback(int argc, char** argv) {
  NodeOptions options;
  Insistence insistence = Insistence::none;
  enum : int { kKernel = 256, kForce, kRoot };
  static constexpr std::array kOptions = {
      option{"kernel", required_argument, nullptr, kKernel},
      option{"force", no_argument, nullptr, kForce},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kKernel:
        options.kernel = optarg;
        break;
      case kForce:
        insistence = Insistence::force;
        break;
      case kRoot:
        options.root = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (const int refused = refuse_without_root(options, "rolling a driver back"); refused != 0) return refused;
  const Result<int> code = roll_back(options, insistence);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
