// driverext pin: this node stays with a version, or with one image.
#include <getopt.h>

#include <array>
#include <cstdio>

#include "base/text.hpp"
#include "cli/managed_node.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext pin [OPTION...] [VERSION|ROOTHASH]\n"
    "Have this node stay with a version of its driver, or with one very image, whatever newer ones\n"
    "come and whatever [driver] version in /etc/driverext/driverext.toml says. What is pinned and\n"
    "was put aside is brought back. Without an argument: show what is pinned.\n"
    "\n"
    "ROOTHASH can be its first 8 digits or more; driverext list shows it.\n"
    "\n"
    "      --none       pin nothing any more\n"
    "      --force      pin a version too that is not here and that no channel could bring\n"
    "      --root=PATH  be the node below PATH\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit codes: 0 done, 1 there is no such image, 75 a provision is running, 77 not root.\n";

enum class Action { show, set, clear };

struct Options {
  NodeOptions node;
  Action action = Action::show;
  Insistence insistence = Insistence::none;
  std::string text;
};

std::string pin_text(const Pin& pin) {
  const std::string driver = printable(pin.driver) + " ";
  return driver + (pin.root_hash.empty() ? printable(pin.version) : image_text(pin.version, pin.root_hash));
}

Result<int> show(const Options& options) {
  TRY(const Dir root, Dir::open_root(options.node.root));
  const std::optional<Pin> pin = StateFile::read(root).state().pin;
  std::printf("%s\n", pin ? ("Pinned: " + pin_text(*pin)).c_str() : "Nothing is pinned.");
  return 0;
}

Result<int> set(const Options& options, const Dir& root, const Survey& node) {
  TRY(const Pin pin, pin_for(node, options.text, options.insistence));
  const State state = with_pin(node.state, pin);
  TRY_VOID(write_memory(root, state));
  std::printf("Pinned: %s\n", pin_text(pin).c_str());
  if (!is_here(node, pin)) {
    std::printf("No image of it is here yet; %s.\n", node.config.channel_url.empty()
                                                         ? "put one into /var/lib/driverext/inbox"
                                                         : "the channel may bring one, or /var/lib/driverext/inbox");
  }
  print_next(node, state);
  return 0;
}

Result<int> clear(const Dir& root, const Survey& node) {
  if (!node.state.pin) {
    std::puts("Nothing was pinned.");
    return 0;
  }
  State state = node.state;
  state.pin.reset();
  TRY_VOID(write_memory(root, state));
  std::printf("No longer pinned: %s\n", pin_text(*node.state.pin).c_str());
  print_next(node, state);
  return 0;
}

Result<int> act(const Options& options) {
  if (options.action == Action::show) return show(options);
  return with_locked_node(options.node, [&](const Dir& root, const Survey& node) {
    return options.action == Action::clear ? clear(root, node) : set(options, root, node);
  });
}

}  // namespace

int pin(int argc, char** argv) {
  Options options;
  enum : int { kNone = 256, kForce, kRoot };
  static constexpr std::array kOptions = {
      option{"none", no_argument, nullptr, kNone},
      option{"force", no_argument, nullptr, kForce},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kNone:
        options.action = Action::clear;
        break;
      case kForce:
        options.insistence = Insistence::force;
        break;
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
  if (optind < argc) {
    if (options.action == Action::clear) return usage_error("--none and a version exclude each other");
    options.action = Action::set;
    options.text = argv[optind++];
  }
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (options.action != Action::show) {
    if (const int refused = refuse_without_root(options.node, "pinning a driver"); refused != 0) return refused;
  }
  const Result<int> code = act(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
