// driverext doctor: what is known to go wrong on hosts like this one, looked for.
#include <getopt.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <vector>

#include "base/json.hpp"
#include "channel/http.hpp"
#include "cli/verb.hpp"
#include "doctor/channel_probe.hpp"
#include "doctor/survey.hpp"

namespace driverext::cli {
namespace {

using Verdict = Diagnosis::Verdict;

constexpr const char* kHelp =
    "Usage: driverext doctor [OPTION...]\n"
    "Look for what is known to go wrong with drivers on hosts like this one: kernel, modules, devices,\n"
    "container engines, images, trust. Nothing is changed.\n"
    "\n"
    "      --all                    show every check, not only the problems\n"
    "      --json=pretty|short|off  print every check as JSON\n"
    "      --root=PATH              look below PATH\n"
    "  -h, --help                   show this help\n"
    "\n"
    "docs/doctor.md lists the checks. Exit codes: 0 all is well, 1 there is a problem.\n";

enum class Show { problems, all };

struct Checked {
  const CheckInfo* check;
  Diagnosis diagnosis;
};

const char* mark_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::fine:
      return "✓";
    case Verdict::problem:
      return "✗";
    case Verdict::unknown:
      return "?";
    case Verdict::not_applicable:
      return "-";
  }
  return " ";
}

const char* paint(Verdict verdict) {
  if (verdict == Verdict::fine) return "\033[32m";
  return verdict == Verdict::problem ? "\033[31m" : "\033[2m";
}

std::string text(std::string_view view) { return std::string(view); }

void print_check(const Checked& checked, const char* color, const char* plain) {
  std::printf("%s%s%s %-24s %s\n", color, mark_of(checked.diagnosis.verdict), plain, text(checked.check->name).c_str(),
              checked.diagnosis.saw.c_str());
  if (checked.diagnosis.verdict != Verdict::problem) return;
  std::printf("    Why it matters: %s\n", text(checked.check->why).c_str());
  std::printf("    What to do:     %s\n", text(checked.check->what_to_do).c_str());
}

size_t count(const std::vector<Checked>& all, Verdict verdict) {
  size_t found = 0;
  for (const Checked& checked : all) found += checked.diagnosis.verdict == verdict ? 1 : 0;
  return found;
}

void print_table(const std::vector<Checked>& all, Show show) {
  const bool color = ::isatty(STDOUT_FILENO) == 1;
  bool any = false;
  for (const Checked& checked : all) {
    if (show == Show::problems && checked.diagnosis.verdict != Verdict::problem) continue;
    print_check(checked, color ? paint(checked.diagnosis.verdict) : "", color ? "\033[0m" : "");
    any = true;
  }
  std::printf("%s%zu checks: %zu fine, %zu with a problem, %zu that cannot be told, %zu that do not apply here.%s\n",
              any ? "\n" : "", all.size(), count(all, Verdict::fine), count(all, Verdict::problem),
              count(all, Verdict::unknown), count(all, Verdict::not_applicable),
              show == Show::problems ? " --all shows each." : "");
}

OrderedJson to_json(const std::vector<Checked>& all) {
  OrderedJson object = {{"format", 1}, {"problems", count(all, Verdict::problem)}};
  object["checks"] = OrderedJson::array();
  for (const Checked& checked : all) {
    object["checks"].push_back({{"name", checked.check->name},
                                {"verdict", verdict_name(checked.diagnosis.verdict)},
                                {"saw", checked.diagnosis.saw},
                                {"why", checked.check->why},
                                {"whatToDo", checked.check->what_to_do}});
  }
  return object;
}

std::vector<Checked> run_all(const Dir& root) {
  DoctorInput input = survey_for_doctor(root, static_cast<int64_t>(::time(nullptr)));
  HttpFetcher fetcher({.connect_seconds = kProbeSeconds, .slow_seconds = kProbeSeconds});
  input.ask_channel = [&](const std::string& url) { return probe_channel(fetcher, url); };
  std::vector<Checked> all;
  for (const CheckInfo& check : all_checks()) all.push_back({&check, run_check(check, input)});
  return all;
}

}  // namespace

int doctor(int argc, char** argv) {
  std::string root_path = "/";
  JsonMode mode = JsonMode::off;
  Show show = Show::problems;
  enum : int { kJson = 256, kRoot, kAll };
  static constexpr std::array kOptions = {
      option{"all", no_argument, nullptr, kAll},
      option{"json", required_argument, nullptr, kJson},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kAll:
        show = Show::all;
        break;
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
  const std::vector<Checked> all = run_all(*root);
  if (mode == JsonMode::off) {
    print_table(all, show);
  } else {
    print_json(to_json(all), mode);
  }
  return static_cast<int>(count(all, Verdict::problem) == 0 ? ExitCode::done : ExitCode::failed);
}

}  // namespace driverext::cli
