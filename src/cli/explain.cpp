// driverext explain: which image is used for a kernel, and why the others are not.
#include <getopt.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/image_arguments.hpp"
#include "cli/verb.hpp"
#include "kernel/linux_kernel.hpp"
#include "provisioner/explain.hpp"
#include "provisioner/survey.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext explain [OPTION...] [IMAGE...]\n"
    "Show every image of the driver with every requirement that it must meet, which one is chosen, and on\n"
    "which rung of the ladder; and of its modules each parameter, who gave it and what it overrules. IMAGE\n"
    "files are judged as if they lay in the inbox. Changes nothing.\n"
    "\n"
    "      --kernel=RELEASE         for this kernel, which need not run (default: the running one)\n"
    "      --root=PATH              for the host whose root directory this is\n"
    "      --trust=PATH             trust anchors for IMAGE files: certificates or directories of them; may be\n"
    "                               given several times (default: those of the host)\n"
    "      --json=pretty|short|off  print JSON instead of a table\n"
    "  -h, --help                   show this help\n"
    "\n"
    "  driverext explain --kernel=6.12.117-flatcar\n"
    "  driverext explain --root=/srv/rootfs --kernel=6.12.117-flatcar --trust=cert.pem *.raw\n"
    "\n"
    "Exit codes: 0 an image is chosen, 65 untrusted, 69 nothing fits, 75 one is to be fetched or built,\n"
    "78 bad configuration.\n";

struct Options {
  std::string root = "/";
  std::string kernel_release;
  std::vector<std::string> trust;
  std::vector<std::string> images;
  JsonMode mode = JsonMode::off;
};

Result<int> run(const Options& options) {
  TRY(const Dir root, Dir::open_root(options.root));
  if (!options.kernel_release.empty()) TRY_VOID(check_name("kernel release", options.kernel_release));
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  const int64_t now = ::time(nullptr);
  Survey found;
  TRY_VOID(take_survey({.root = root,
                        .kernel = kernel.get(),
                        .now = now,
                        .kernel_release = options.kernel_release,
                        .depth = SurveyRequest::Depth::everything},
                       found));
  if (!options.images.empty()) {
    if (options.trust.empty()) {
      TRY(const Trust* trust, found.trust->get());
      add_files(options.images, trust->publishers, now, found);
    } else {
      TRY(const TrustStore anchors, load_anchors(options.trust));
      add_files(options.images, anchors, now, found);
    }
  }
  const std::set<std::string> none;
  TRY(const ModprobeConfig modprobe, read_modprobe_config(root, found.facts.command_line));
  const Explanation explanation = driverext::explain({found.selection(found.state, none), found.acquisition}, modprobe);
  if (options.mode == JsonMode::off) {
    std::fputs(explanation_text(explanation).c_str(), stdout);
  } else {
    print_json(explanation_to_json(explanation), options.mode);
  }
  return static_cast<int>(reason_info(explanation.outcome).exit_code);
}

}  // namespace

int explain(int argc, char** argv) {
  Options options;
  enum : int { kJson = 256, kRoot, kKernel, kTrust };
  static constexpr std::array kOptions = {
      option{"json", required_argument, nullptr, kJson},
      option{"root", required_argument, nullptr, kRoot},
      option{"kernel", required_argument, nullptr, kKernel},
      option{"trust", required_argument, nullptr, kTrust},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kJson: {
        const Result<JsonMode> parsed = parse_json_mode(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        options.mode = *parsed;
        break;
      }
      case kRoot:
        options.root = optarg;
        break;
      case kKernel:
        options.kernel_release = optarg;
        break;
      case kTrust:
        options.trust.emplace_back(optarg);
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  options.images.assign(argv + optind, argv + argc);
  const Result<int> code = run(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
