// driverext prune: take away images that no kernel of this node needs.
#include "provisioner/prune.hpp"

#include <getopt.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "acquire/acquire.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/managed_node.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext prune [OPTION...]\n"
    "Remove images from the store that no kernel of this node needs. For the running kernel, those\n"
    "that the host has modules of, the last ones and coming ones are kept: what was good, the best\n"
    "versions that fit, the userland that belongs to them, and what to build them from. So is what is\n"
    "attached or pinned.\n"
    "\n"
    "      --dry-run                remove nothing, say what would be removed\n"
    "      --keep=N                 keep so many versions that fit, for each kernel (default: 2)\n"
    "      --quarantine             remove refused files from quarantine too\n"
    "      --json=pretty|short|off  output for programs\n"
    "      --root=PATH              be the node below PATH\n"
    "  -h, --help                   show this help\n"
    "\n"
    "Exit codes: 0 done, 1 a file could not be removed, 75 a provision, a download or a build is\n"
    "running, 77 not root.\n";

constexpr size_t kMaxKept = 1000;

enum class Effect { remove, tell };
enum class Quarantine { stays, goes };

struct Options {
  NodeOptions node;
  Effect effect = Effect::remove;
  Quarantine quarantine = Quarantine::stays;
  JsonMode mode = JsonMode::off;
  size_t versions = kKeptVersions;
};

struct Line {
  std::string path;
  const ImageIdentity* image = nullptr;  // null: a refused file
  std::string why;
  uint64_t size = 0;
};

// What is told: also of what was done before something failed.
struct Told {
  std::vector<Line> removed;
  std::vector<Line> kept;
  uint64_t freed = 0;
};

Result<uint64_t> size_of(const Dir& root, const std::string& name) {
  TRY(const auto status, root.status(name));
  return status ? static_cast<uint64_t>(status->st_size) : uint64_t{0};
}

Line line_of(const Dir& root, const KnownImage& known, const std::string& why) {
  const Result<uint64_t> size = size_of(root, known.name);
  return {root.path_of(known.name), &known.identity(), why, size ? *size : 0};
}

Result<void> remove_all(const Options& options, const Dir& root, const Survey& node, const PrunePlan& plan,
                        Told& told) {
  const auto took_away = [&](Line line) {
    told.freed += line.size;
    told.removed.push_back(std::move(line));
  };
  for (const auto& [index, why] : plan.removed) {
    const KnownImage& known = node.inventory.images[index];
    Line line = line_of(root, known, why);
    if (options.effect == Effect::remove) {
      TRY(line.size, remove_from_store(root, known));
    }
    took_away(std::move(line));
  }
  if (options.quarantine == Quarantine::stays) return {};
  for (const RejectedImage& rejected : node.inventory.rejected) {
    if (rejected.place != Place::quarantine) continue;
    Line line{root.path_of(rejected.name), nullptr, "refused: " + rejected.error.message(), 0};
    if (options.effect == Effect::remove) {
      TRY(line.size, remove_from_quarantine(root, rejected));
    } else {
      TRY(line.size, size_of(root, rejected.name));
    }
    took_away(std::move(line));
  }
  return {};
}

std::string line_text(const Line& line) {
  if (line.image == nullptr) return printable(line.path);
  const ImageIdentity& image = *line.image;
  return std::string(kind_name(image.kind)) + " " + printable(image.driver) + " " +
         image_text(image.version, image.root_hash) +
         (image.kernel_release.empty() ? "" : " for " + printable(image.kernel_release));
}

void print_text(const Options& options, const Told& told) {
  const bool is_done = options.effect == Effect::remove;
  for (const Line& line : told.removed) {
    std::printf("%s %s, %s: %s\n", is_done ? "Removed" : "Would remove", line_text(line).c_str(),
                human_size(line.size).c_str(), printable(line.why).c_str());
  }
  for (const Line& line : told.kept) {
    if (!is_done) std::printf("Would keep %s: %s\n", line_text(line).c_str(), printable(line.why).c_str());
  }
  if (told.removed.empty()) {
    std::puts("There is nothing to remove.");
  } else {
    std::printf("%s: %s\n", is_done ? "Freed" : "Would free", human_size(told.freed).c_str());
  }
}

OrderedJson lines_to_json(const std::vector<Line>& lines) {
  OrderedJson array = OrderedJson::array();
  for (const Line& line : lines) {
    OrderedJson object = {{"path", line.path}};
    if (line.image != nullptr) {
      object["kind"] = kind_name(line.image->kind);
      object["driver"] = line.image->driver;
      object["version"] = line.image->version;
      if (!line.image->kernel_release.empty()) object["kernelRelease"] = line.image->kernel_release;
      object["rootHash"] = line.image->root_hash;
    }
    object["size"] = line.size;
    object["why"] = line.why;
    array.push_back(std::move(object));
  }
  return array;
}

void print(const Options& options, const Told& told) {
  if (options.mode == JsonMode::off) return print_text(options, told);
  print_json({{"format", 1},
              {"dryRun", options.effect == Effect::tell},
              {"freed", told.freed},
              {"removed", lines_to_json(told.removed)},
              {"kept", lines_to_json(told.kept)}},
             options.mode);
}

Result<int> prune_node(const Options& options, const Dir& root, const Survey& node) {
  TRY(const PruneSurvey survey, look_for_prune(root, node));
  const PruneInput input{node.config,    node.definition, node.inventory, node.state,
                         survey.kernels, survey.attached, node.running,   options.versions};
  const PrunePlan plan = plan_prune(input);
  Told told;
  for (const auto& [index, why] : plan.kept) {
    const KnownImage& known = node.inventory.images[index];
    if (known.place == Place::store) told.kept.push_back(line_of(root, known, why));
  }
  const Result<void> removed = remove_all(options, root, node, plan, told);
  print(options, told);
  TRY_VOID(removed);
  if (options.effect == Effect::remove) TRY_VOID(write_memory(root, forget_what_is_gone(input, plan.removed)));
  return 0;
}

Result<int> act(const Options& options) {
  // Looking needs no lock, and can be done while an image is being built.
  if (options.effect == Effect::tell) {
    TRY(const Dir root, Dir::open_root(options.node.root));
    TRY(const Survey node, look_at_node(root, options.node));
    return prune_node(options, root, node);
  }
  TRY(const Dir top, Dir::open_root(options.node.root));
  TRY(const UniqueFd lock,
      top.lock_folder(kAcquireLock, "an image is being fetched or built; try again when that has ended"));
  return with_locked_node(options.node,
                          [&](const Dir& root, const Survey& node) { return prune_node(options, root, node); });
}

}  // namespace

int prune(int argc, char** argv) {
  Options options;
  enum : int { kDryRun = 256, kKeep, kQuarantineToo, kJson, kRoot };
  static constexpr std::array kOptions = {
      option{"dry-run", no_argument, nullptr, kDryRun},
      option{"keep", required_argument, nullptr, kKeep},
      option{"quarantine", no_argument, nullptr, kQuarantineToo},
      option{"json", required_argument, nullptr, kJson},
      option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kDryRun:
        options.effect = Effect::tell;
        break;
      case kKeep: {
        const std::string text = optarg;
        const bool is_number = !text.empty() && text.size() <= 4 && text.find_first_not_of("0123456789") == text.npos;
        options.versions = is_number ? std::strtoul(text.c_str(), nullptr, 10) : 0;
        if (options.versions < 1 || options.versions > kMaxKept)
          return usage_error("--keep takes a number from 1 to 1000");
        break;
      }
      case kQuarantineToo:
        options.quarantine = Quarantine::goes;
        break;
      case kJson: {
        const Result<JsonMode> parsed = parse_json_mode(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        options.mode = *parsed;
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
  if (options.effect == Effect::remove) {
    if (const int refused = refuse_without_root(options.node, "removing images"); refused != 0) return refused;
  }
  const Result<int> code = act(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
