// driverext list: the images on this node, and how they stand.
#include <getopt.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/managed_node.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext list [OPTION...]\n"
    "Show the images on this node, and how each stands with a kernel: whether it runs, was good,\n"
    "failed or was put aside, is pinned. Refused files are named with the reason.\n"
    "\n"
    "      --aside                  show what failed, on every kernel, and how to bring it back\n"
    "      --kernel=RELEASE         show how images stand with this kernel (default: the running one)\n"
    "      --json=pretty|short|off  output for programs\n"
    "      --root=PATH              be the node below PATH\n"
    "  -h, --help                   show this help\n"
    "\n"
    "What the node built itself shows only to root.\n";

enum class Show { images, failures };

struct Options {
  NodeOptions node;
  Show show = Show::images;
  JsonMode mode = JsonMode::off;
};

// One image, or one copy of it.
struct Row {
  const KnownImage* known = nullptr;
  uint64_t size = 0;
  Standing standing;
};

struct View {
  std::string kernel_release;
  std::vector<Row> rows;
};

std::string kernels_text(const ImageIdentity& image) {
  if (image.kind == Kind::userland || image.kind == Kind::source) return "any";
  if (image.kind != Kind::builder || image.kernels.empty()) return image.kernel_release;
  const size_t more = image.kernels.size() - 1;
  return image.kernels.front() + (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

const char* place_text(Place place) {
  switch (place) {
    case Place::store:
      return "store";
    case Place::inbox:
      return "inbox";
    case Place::quarantine:
      return "quarantine";
  }
  return "?";
}

std::string dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string date_text(uint64_t seconds) { return utc_text(static_cast<int64_t>(seconds)).substr(0, 10); }

bool comes_before(const Row& a, const Row& b) {
  const ImageIdentity& left = a.known->identity();
  const ImageIdentity& right = b.known->identity();
  if (left.driver != right.driver) return left.driver < right.driver;
  if (left.kind != right.kind) return left.kind < right.kind;
  if (is_newer(*a.known, *b.known)) return true;
  return !is_newer(*b.known, *a.known) && a.known->name < b.known->name;
}

View look(const Dir& root, const Survey& node, const std::string& kernel_release) {
  View view;
  view.kernel_release = kernel_release.empty() ? node.facts.kernel_release : kernel_release;
  // The modules that run say nothing about another kernel.
  const std::string running = view.kernel_release == node.facts.kernel_release ? node.running : "";
  for (const KnownImage& known : node.inventory.images) {
    Row row;
    row.known = &known;
    const auto status = root.status(known.name);
    if (status && *status) row.size = static_cast<uint64_t>((*status)->st_size);
    row.standing = standing_of(node.state, view.kernel_release, running, known.identity());
    view.rows.push_back(row);
  }
  std::sort(view.rows.begin(), view.rows.end(), comes_before);
  return view;
}

// Wide enough for what is in it.
void print_columns(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text += std::string(widths[i] - line[i].size() + 2, ' ');
    }
    std::puts(text.c_str());
  }
}

void print_images(const Dir& root, const Survey& node, const View& view) {
  std::vector<std::vector<std::string>> lines = {
      {"KIND", "DRIVER", "VERSION", "FLAVOR", "KERNEL", "ORIGIN", "SIZE", "MADE", "ROOT HASH", "STATE"}};
  for (const Row& row : view.rows) {
    const ImageIdentity& image = row.known->identity();
    std::string state = standing_text(row.standing);
    if (row.known->place != Place::store) {
      state = std::string("in the ") + place_text(row.known->place) + (state.empty() ? "" : ", ") + state;
    }
    lines.push_back({std::string(kind_name(image.kind)), printable(image.driver), printable(image.version),
                     dash(image.flavor), dash(kernels_text(image)), std::string(origin_name(row.known->origin)),
                     human_size(row.size), date_text(image.created), short_hash(image.root_hash), dash(state)});
  }
  if (view.rows.empty()) {
    std::puts("There is no image on this node.");
  } else {
    print_columns(lines);
  }
  for (const RejectedImage& rejected : node.inventory.rejected) {
    std::printf("Refused: %s (%s): %s\n", printable(root.path_of(rejected.name)).c_str(),
                std::string(reason_info(reason_of(rejected.error)).code).c_str(), rejected.error.message().c_str());
  }
}

bool is_here(const Survey& node, const std::string& root_hash) {
  return std::any_of(node.inventory.images.begin(), node.inventory.images.end(),
                     [&](const KnownImage& known) { return known.identity().root_hash == root_hash; });
}

void print_failures(const Survey& node) {
  const std::vector<RememberedFailure> failures = all_failures(node.state);
  if (failures.empty()) std::puts("Nothing has failed on this node.");
  for (const RememberedFailure& failure : failures) {
    const FailedImage& image = failure.failure;
    const std::string times = std::to_string(image.attempts) + (image.attempts == 1 ? " attempt" : " attempts");
    const std::string option =
        failure.kernel_release == node.facts.kernel_release ? "" : "--kernel=" + failure.kernel_release + " ";
    std::printf("%s on %s: %s after %s%s\n", image_text(image.version, failure.root_hash).c_str(),
                printable(failure.kernel_release).c_str(), image.is_put_aside() ? "put aside" : "failed", times.c_str(),
                image.time > 0 ? (", " + utc_text(image.time)).c_str() : "");
    std::printf("    %s: %s\n", printable(image.reason).c_str(), printable(image.message).c_str());
    if (is_here(node, failure.root_hash)) {
      std::printf("    To bring it back: driverext retry %s%s\n", printable(option).c_str(), failure.root_hash.c_str());
    } else {
      std::puts("    The image is not on this node any more.");
    }
  }
}

OrderedJson images_to_json(const Dir& root, const View& view) {
  OrderedJson images = OrderedJson::array();
  for (const Row& row : view.rows) {
    const ImageIdentity& image = row.known->identity();
    OrderedJson object = {{"kind", kind_name(image.kind)}, {"driver", image.driver}, {"version", image.version}};
    if (!image.flavor.empty()) object["flavor"] = image.flavor;
    if (!image.kernel_release.empty()) object["kernelRelease"] = image.kernel_release;
    if (!image.kernels.empty()) object["kernels"] = image.kernels;
    if (!image.userland.empty()) object["userland"] = image.userland;
    object["rootHash"] = image.root_hash;
    object["path"] = root.path_of(row.known->name);
    object["place"] = place_text(row.known->place);
    object["origin"] = origin_name(row.known->origin);
    object["size"] = row.size;
    object["created"] = image.created;
    object["running"] = row.standing.is_running;
    object["good"] = row.standing.is_good;
    object["lastGood"] = row.standing.is_last_good;
    object["pinned"] = row.standing.is_pinned;
    object["failed"] = row.standing.failed != nullptr;
    object["putAside"] = row.standing.failed != nullptr && row.standing.failed->is_put_aside();
    images.push_back(std::move(object));
  }
  return images;
}

OrderedJson failures_to_json(const Survey& node) {
  OrderedJson failures = OrderedJson::array();
  for (const RememberedFailure& failure : all_failures(node.state)) {
    failures.push_back({{"kernelRelease", failure.kernel_release},
                        {"rootHash", failure.root_hash},
                        {"version", failure.failure.version},
                        {"reason", failure.failure.reason},
                        {"message", failure.failure.message},
                        {"attempts", failure.failure.attempts},
                        {"time", failure.failure.time},
                        {"putAside", failure.failure.is_put_aside()},
                        {"here", is_here(node, failure.root_hash)}});
  }
  return failures;
}

OrderedJson to_json(const Dir& root, const Survey& node, const View& view, Show show) {
  OrderedJson object = {{"format", 1}, {"kernelRelease", view.kernel_release}};
  if (node.state.pin) {
    const Pin& pin = *node.state.pin;
    object["pin"] = {{"driver", pin.driver}, {"version", pin.version}};
    if (!pin.root_hash.empty()) object["pin"]["rootHash"] = pin.root_hash;
  }
  if (show == Show::images) {
    object["images"] = images_to_json(root, view);
    object["refused"] = OrderedJson::array();
    for (const RejectedImage& rejected : node.inventory.rejected) {
      object["refused"].push_back({{"path", root.path_of(rejected.name)},
                                   {"place", place_text(rejected.place)},
                                   {"reason", reason_info(reason_of(rejected.error)).code},
                                   {"message", rejected.error.message()}});
    }
  }
  object["failures"] = failures_to_json(node);
  return object;
}

Result<int> show_node(const Options& options) {
  TRY(const Dir root, Dir::open_root(options.node.root));
  // Of the running kernel: what failed on it needs no option to be brought back.
  TRY(const Survey node, look_at_node(root, {options.node.root, {}}));
  const View view = look(root, node, options.node.kernel);
  if (options.mode != JsonMode::off) {
    print_json(to_json(root, node, view, options.show), options.mode);
  } else if (options.show == Show::failures) {
    print_failures(node);
  } else {
    print_images(root, node, view);
  }
  return 0;
}

}  // namespace

int list(int argc, char** argv) {
  Options options;
  enum : int { kAside = 256, kKernel, kJson, kRoot };
  static constexpr std::array kOptions = {
      option{"aside", no_argument, nullptr, kAside},     option{"kernel", required_argument, nullptr, kKernel},
      option{"json", required_argument, nullptr, kJson}, option{"root", required_argument, nullptr, kRoot},
      option{"help", no_argument, nullptr, 'h'},         option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kAside:
        options.show = Show::failures;
        break;
      case kKernel:
        options.node.kernel = optarg;
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
  const Result<int> code = show_node(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
