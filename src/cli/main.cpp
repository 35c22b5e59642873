// driverext: the command for people and publishing pipelines.
#include <cstdio>
#include <exception>
#include <span>
#include <string_view>

#include "cli/verb.hpp"
#include "config.h"
#include "provisioner/provision.hpp"

namespace {

namespace cli = driverext::cli;
using driverext::ExitCode;

struct Verb {
  std::string_view group;  // empty for verbs of one word
  std::string_view name;
  int (*run)(int argc, char** argv);
  const char* summary;
};

constexpr Verb kVerbs[] = {
    {"", "status", cli::status, "show how the driver of this node is doing"},
    {"", "provision", driverext::provision_main, "provision the configured driver now"},
    {"", "unload", cli::unload, "unload the driver, or say who holds it"},
    {"", "explain", cli::explain, "show which image is used, and why the others are not"},
    {"", "doctor", cli::doctor, "look for what is known to go wrong on this host"},
    {"", "list", cli::list, "show the images on this node, and how they stand"},
    {"", "pin", cli::pin, "have this node stay with a version or an image"},
    {"", "rollback", cli::rollback, "go back to the image before the one in use"},
    {"", "retry", cli::retry, "let an image that failed be chosen again"},
    {"", "prune", cli::prune, "remove images that no kernel of this node needs"},
    {"", "stage", cli::stage, "make everything ready for a kernel that is not running yet"},
    {"definition", "check", cli::definition_check, "check driver definitions"},
    {"image", "build", cli::image_build, "make an extension image from kernel modules"},
    {"image", "keygen", cli::image_keygen, "make a key to sign with, and its certificate"},
    {"image", "sign", cli::image_sign, "sign an image"},
    {"image", "inspect", cli::image_inspect, "show what an image says it is, without trusting it"},
    {"image", "verify", cli::image_verify, "check an image, all of it, against trust anchors"},
    {"image", "mount", cli::image_mount, "verify an image and mount it read-only, to look at it"},
    {"image", "umount", cli::image_umount, "take such a mount away again"},
    {"modules", "sign", cli::modules_sign, "sign kernel modules for kernels that want it"},
    {"channel", "init", cli::channel_init, "make a channel that a web server can serve"},
    {"channel", "publish", cli::channel_publish, "put images into a channel"},
    {"channel", "rollout", cli::channel_rollout, "set how many nodes a release reaches"},
    {"channel", "check", cli::channel_check, "show what this node would take from a channel"},
};

void print_help(std::FILE* to) {
  std::fputs(
      "Usage: driverext VERB [OPTION...]\n"
      "Kernel drivers for immutable Linux hosts, from signed extension images.\n\n",
      to);
  for (const Verb& verb : kVerbs) {
    const std::string name = (verb.group.empty() ? "" : std::string(verb.group) + " ") + std::string(verb.name);
    std::fprintf(to, "  %-16s %s\n", name.c_str(), verb.summary);
  }
  std::fputs("\n  driverext VERB --help tells more. driverext --version shows the version.\n", to);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::span arguments(argv, static_cast<size_t>(argc));
  const std::string_view first = argc > 1 ? arguments[1] : "";
  if (first == "--help" || first == "-h") {
    print_help(stdout);
    return 0;
  }
  if (first == "--version") {
    std::puts("driverext " DRIVEREXT_VERSION);
    return 0;
  }
  for (const Verb& verb : kVerbs) {
    const bool grouped = !verb.group.empty();
    if (grouped && (argc < 3 || first != verb.group || verb.name != arguments[2])) continue;
    if (!grouped && first != verb.name) continue;
    const int skip = grouped ? 2 : 1;
    return verb.run(argc - skip, argv + skip);
  }
  if (first.empty()) {
    print_help(stderr);
  } else {
    std::fprintf(stderr, "driverext: unknown verb \"%s\"\nTry --help.\n", std::string(first).c_str());
  }
  return static_cast<int>(ExitCode::usage);
} catch (const std::exception& error) {
  std::fprintf(stderr, "driverext: internal error: %s\n", error.what());
  return static_cast<int>(ExitCode::failed);
}
