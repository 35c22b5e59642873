// driverext retry: an image that failed may be chosen again.
#include <getopt.h>

#include <array>
#include <cstdio>

#include "base/text.hpp"
#include "cli/managed_node.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext retry [OPTION...] VERSION|ROOTHASH\n"
    "Forget how an image failed on this node, so that it may be chosen again.\n"
    "ROOTHASH can be its first 8 digits or more; driverext list --aside shows it.\n"
    "\n"
    "      --kernel=RELEASE  forget what happened on this kernel (default: the running one)\n"
    "      --all-kernels     forget it on every kernel\n"
    "      --root=PATH       be the node below PATH\n"
    "  -h, --help            show this help\n"
    "\n"
    "Exit codes: 0 done, 1 it has not failed there, 75 a provision is running, 77 not root.\n";

enum class Kernels { one, all };

Result<int> retry_image(const NodeOptions& options, Kernels kernels, const std::string& text) {
  return with_locked_node(options, [&](const Dir& root, const Survey& node) -> Result<int> {
    const std::string release = kernels == Kernels::all ? "" : node.facts.kernel_release;
    TRY(const RetryDecision decision, decide_retry(node.state, text, release));
    TRY_VOID(write_memory(root, decision.state));
    for (const RememberedFailure& forgotten : decision.forgotten) {
      std::printf("Forgotten on %s: %s, %s\n", printable(forgotten.kernel_release).c_str(),
                  image_text(forgotten.failure.version, forgotten.root_hash).c_str(),
                  printable(forgotten.failure.reason).c_str());
    }
    print_next(node, decision.state);
    return 0;
  });
}

}  // namespace

int retry(int argc, char** argv) {
  NodeOptions options;
  Kernels kernels = Kernels::one;
  enum : int { kKernel = 256, kAllKernels, kRoot };
  static constexpr std::array kOptions = {
      option{"kernel", required_argument, nullptr, kKernel},
      option{"all-kernels", no_argument, nullptr, kAllKernels},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kKernel:
        options.kernel = optarg;
        break;
      case kAllKernels:
        kernels = Kernels::all;
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
  if (kernels == Kernels::all && !options.kernel.empty()) {
    return usage_error("--kernel and --all-kernels exclude each other");
  }
  if (optind == argc) return usage_error("a version or a root hash is needed; see driverext list --aside");
  const std::string text = argv[optind++];
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (const int refused = refuse_without_root(options, "trying an image again"); refused != 0) return refused;
  const Result<int> code = retry_image(options, kernels, text);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
