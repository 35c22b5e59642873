// driverext status: what the last provision of this boot ended in.
#include <getopt.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/verb.hpp"
#include "provisioner/acquisition.hpp"
#include "provisioner/status.hpp"
#include "sys/dir.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext status [OPTION...]\n"
    "Show how the last provision of this boot ended, step by step.\n"
    "\n"
    "      --json=pretty|short|off  print /run/driverext/status.json instead of a table\n"
    "      --root=PATH              look below PATH\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit code: that of the provision it shows.\n";

// What is absent or of another type shows as empty: the file may be an older or newer one.
std::string text(const OrderedJson& object, const char* name) {
  const bool there = object.is_object() && object.contains(name) && object[name].is_string();
  return there ? printable(object[name].get<std::string>()) : std::string();
}

uint64_t number(const OrderedJson& object, const char* name) {
  const bool there = object.is_object() && object.contains(name) && object[name].is_number_unsigned();
  return there ? object[name].get<uint64_t>() : 0;
}

OrderedJson list(const OrderedJson& object, const char* name) {
  const bool there = object.is_object() && object.contains(name) && object[name].is_array();
  return there ? object[name] : OrderedJson::array();
}

std::string milliseconds(uint64_t usec) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.1f ms", static_cast<double>(usec) / 1000);
  return buffer.data();
}

void line(const char* label, const std::string& value) {
  if (!value.empty()) std::printf("%12s: %s\n", label, value.c_str());
}

const char* paint(const std::string& outcome) {
  if (outcome == "provisioned") return "\033[32m";
  return outcome == "fetching" || outcome == "building" ? "\033[33m" : "\033[31m";
}

// Where an image came from, in words.
std::string origin_text(const std::string& origin) {
  if (origin == "built") return "built on this node, signed with its own key";
  if (origin == "channel") return "fetched from the channel";
  return origin.empty() ? "" : "placed on this node";
}

// What is worth a word: that it is the image for exactly this kernel goes without saying.
std::string rung_text(const std::string& rung) {
  if (rung == "kabi") return "built for another kernel whose modules this one takes";
  if (rung == "previous") return "the last good one; what is newer or asked for is not usable (driverext explain)";
  return {};
}

void print_rejected(const OrderedJson& rejected) {
  const bool quarantined = rejected.is_object() && rejected.contains("quarantined") && rejected["quarantined"] == true;
  line("Refused", text(rejected, "path") + " (" + text(rejected, "reason") + ")" +
                      (quarantined ? ", now in /var/lib/driverext/quarantine" : ""));
}

void print_put_aside(const OrderedJson& image) {
  line("Put aside", text(image, "version") + " (" + text(image, "reason") + "): " + text(image, "message"));
}

// Releases other than the running one that the store has an image for.
std::string other_kernels(const OrderedJson& status) {
  std::string kernels;
  for (const auto& kernel : list(status, "kernelsReady")) {
    if (!kernel.is_string() || kernel == text(status, "kernelRelease")) continue;
    kernels += (kernels.empty() ? "" : ", ") + printable(kernel.get<std::string>());
  }
  return kernels;
}

void print_steps(const OrderedJson& steps) {
  if (steps.empty()) return;
  std::printf("\n  %-9s %-10s %10s %12s  %s\n", "STEP", "RESULT", "TOOK", "BOOT TIME", "WHY");
  for (const auto& step : steps) {
    std::printf("  %-9s %-10s %10s %12s  %s\n", text(step, "step").c_str(), text(step, "result").c_str(),
                milliseconds(number(step, "durationUSec")).c_str(), milliseconds(number(step, "startedUSec")).c_str(),
                text(step, "message").c_str());
  }
}

void print_table(const OrderedJson& status, const std::optional<Acquisition>& acquisition) {
  const std::string outcome = text(status, "outcome");
  const std::string reason = text(status, "reason");
  const bool color = ::isatty(STDOUT_FILENO) == 1;
  const std::string version = text(status, "version");
  std::printf("%s●%s %s%s\n", color ? paint(outcome) : "", color ? "\033[0m" : "", text(status, "driver").c_str(),
              version.empty() ? "" : (" " + version).c_str());
  line("Outcome", outcome + (outcome == reason ? "" : " (" + reason + ")"));
  line("Kernel", text(status, "kernelRelease"));
  line("Root hash", text(status, "rootHash"));
  line("Signer", text(status, "signer"));
  line("Image", text(status, "image"));
  line("Origin", origin_text(text(status, "origin")));
  line("Rung", rung_text(text(status, "rung")));
  if (status.contains("userland")) {
    const OrderedJson& userland = status["userland"];
    line("Userland", text(userland, "image") + ", " + origin_text(text(userland, "origin")));
  }
  if (outcome != "provisioned") {
    // What the last attempt said is newer than what the pipeline was told.
    const bool is_same = acquisition && reason_info(acquisition->reason).code == reason && !acquisition->in_progress();
    line("Why", is_same ? printable(acquisition->message) : text(status, "message"));
    if (acquisition && acquisition->in_progress()) line("Progress", printable(acquisition->message));
    line("What to do", text(status, "advice"));
  }
  for (const auto& image : list(status, "putAside")) print_put_aside(image);
  for (const auto& rejected : list(status, "rejected")) print_rejected(rejected);
  line("Ready for", other_kernels(status));
  print_steps(list(status, "steps"));
}

}  // namespace

int status(int argc, char** argv) {
  std::string root_path = "/";
  JsonMode mode = JsonMode::off;
  enum : int { kJson = 256, kRoot };
  static constexpr std::array kOptions = {
      option{"json", required_argument, nullptr, kJson},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kJson: {
        const Result<JsonMode> parsed = parse_json_mode(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        mode = *parsed;
        break;
      }
      case kRoot:
        root_path = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);

  const Result<Dir> root = Dir::open_root(root_path);
  if (!root) return fail(root.error());
  const Result<std::optional<std::string>> content = root->read_if_there(kStatusFile, kMaxStatusSize);
  if (!content) return fail(content.error());
  if (!*content) {
    std::fputs("Nothing was provisioned since this boot. Start it with: systemctl start driverext\n", stderr);
    return static_cast<int>(ExitCode::failed);
  }
  if (const Result<Json> strict = parse_json(**content, {.max_size = kMaxStatusSize}); !strict)
    return fail(strict.error());
  const OrderedJson parsed = OrderedJson::parse(**content, nullptr, /*allow_exceptions=*/false);
  if (mode == JsonMode::off) {
    print_table(parsed, read_acquisition(*root));
  } else {
    print_json(parsed, mode);
  }
  const bool told = parsed.is_object() && parsed.contains("exitCode") && parsed["exitCode"].is_number_unsigned();
  const uint64_t code = number(parsed, "exitCode");
  return told && code <= 255 ? static_cast<int>(code) : static_cast<int>(ExitCode::failed);
}

}  // namespace driverext::cli
