// driverext definition check: look through driver definitions before they are put on a node.
#include <getopt.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <span>

#include "base/text.hpp"
#include "cli/verb.hpp"
#include "driver/definition.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext definition check FILE...\n"
    "Check driver definitions, NAME.toml each, and say what is wrong with line and file.\n"
    "What they may hold: docs/driver-definition.md\n"
    "\n"
    "  -h, --help  show this help\n"
    "\n"
    "Exit codes: 0 all are right, 78 one is not.\n";

std::string count(size_t number, const char* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

Result<void> check(const std::string& path) {
  TRY(const std::string text, read_argument_file(path, kMaxDefinition));
  TRY(const Definition definition, parse_definition(text, std::filesystem::path(path).stem().string(), path));
  std::printf("%s: %s, %s of device nodes%s%s%s\n", definition.name.c_str(),
              count(definition.modules.size(), "module").c_str(),
              count(definition.devices.size() + definition.nodes.size(), "rule").c_str(),
              definition.root ? ", driver root /" : "", definition.root ? definition.root->path.c_str() : "",
              definition.toolkit ? ", container engines" : "");
  return {};
}

}  // namespace

int definition_check(int argc, char** argv) {
  static constexpr std::array kOptions = {
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    if (choice != 'h') return usage_error("wrong option");
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (optind == argc) return usage_error("name at least one definition");
  int code = 0;
  for (const char* path : std::span(argv, static_cast<size_t>(argc)).subspan(static_cast<size_t>(optind))) {
    if (const Result<void> checked = check(path); !checked) code = fail(checked.error());
  }
  return code;
}

}  // namespace driverext::cli
