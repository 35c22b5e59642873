// driverext channel check: a channel as this node sees it.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/json.hpp"
#include "base/text.hpp"
#include "channel/client.hpp"
#include "channel/http.hpp"
#include "cli/key_options.hpp"
#include "cli/verb.hpp"
#include "host/facts.hpp"
#include "provisioner/config.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext channel check [--url=URL] [OPTION...]\n"
    "       driverext channel check --certificate=FILE [OPTION...] DIR\n"
    "Read a channel's index as a node does, and show what this node would take. Nothing is fetched,\n"
    "remembered or changed.\n"
    "\n"
    "      --url=URL                address of the channel, http or https (default: the one in\n"
    "                               /etc/driverext/driverext.toml)\n"
    "      --certificate=FILE       trust anchor (PEM); may be given several times. Default:\n"
    "                               /etc/driverext/trust and /usr/lib/driverext/trust\n"
    "      --driver=NAME            look for this driver only (default: the one in\n"
    "                               /etc/driverext/driverext.toml, else every one in the channel)\n"
    "      --kernel=RELEASE         look for images for this kernel (default: the running one)\n"
    "      --root=PATH              be the node below PATH\n"
    "      --json=pretty|short|off  output for programs\n"
    "  -h, --help                   show this help\n"
    "\n"
    "DIR is a channel on this machine, as its publisher has it.\n"
    "\n"
    "Exit codes: 0 this node would take an image, 65 the index is not to be trusted, 69 the channel\n"
    "has no image for it, 75 the channel does not answer or the rollout has not reached this node.\n";

struct Options {
  std::string url;
  std::string folder;
  std::vector<std::string> certificates;
  std::string driver;
  std::string kernel;
  std::string root = "/";
  JsonMode mode = JsonMode::off;
};

// One release of the channel, as it is for this node.
struct Line {
  const ChannelRelease* release = nullptr;
  RolloutPlace place = 0;
  bool fits = false;
};

// The channel that the node is configured for.
Result<std::string> configured_url(const Dir& root) {
  TRY(Config config, read_config(root));
  if (!config.channel_url.empty()) return std::move(config.channel_url);
  return make_error(Errc::invalid_input, Reason::config_invalid,
                    root.path_of(kConfigFile) + " names no channel ([channel] url); name one with --url");
}

// What this node would take of one driver, or why nothing.
struct Choice {
  std::string driver;
  Result<Offer> offer;
};

struct View {
  std::vector<Line> lines;
  std::vector<Choice> choices;
};

Result<TrustStore> load_anchors(const Options& options, const Dir& root) {
  if (options.certificates.empty()) return TrustStore::load(root, kTrustFolders);
  TrustStore anchors;
  for (const std::string& path : options.certificates) {
    TRY(const std::string pem, read_argument_file(path, kMaxPem));
    TRY_VOID(anchors.add_pem(pem, path));
  }
  return anchors;
}

Result<VerifiedIndex> read_index(const Options& options, const Dir& root) {
  TRY(const TrustStore anchors, load_anchors(options, root));
  const auto now = static_cast<int64_t>(::time(nullptr));
  if (!options.folder.empty()) {
    TRY(const Dir folder, Dir::open_root(options.folder));
    TRY(const std::string cms, folder.read_file(kIndexFile, kMaxSignedIndex));
    return VerifiedIndex::verify(as_bytes(cms), anchors, now).with_context(folder.path_of(kIndexFile));
  }
  std::string url = options.url;
  if (url.empty()) {
    TRY(url, configured_url(root));
  }
  HttpFetcher fetcher;
  TRY(VerifiedIndex index, fetch_index({.fetcher = fetcher, .url = url, .anchors = anchors, .now = now}));
  TRY(const SeenFile seen, read_seen(root));
  if (!seen.damage.empty()) std::fprintf(stderr, "driverext: damaged: %s\n", printable(seen.damage).c_str());
  TRY_VOID(compare_with_seen(seen.seen, index));
  return index;
}

Result<ChannelWish> wish_of_node(const Options& options, const Dir& root) {
  ChannelWish wish;
  TRY(Facts facts, read_facts(root));
  wish.kernel_release = options.kernel.empty() ? facts.kernel_release : options.kernel;
  wish.architecture = std::move(facts.architecture);
  TRY(wish.node, read_node_id(root));
  return wish;
}

// The drivers that are asked about.
Result<std::vector<std::string>> drivers_of(const Options& options, const Dir& root, const ChannelIndex& index) {
  if (!options.driver.empty()) return std::vector{options.driver};
  TRY(const std::optional<struct stat> configured, root.status(kConfigFile));
  if (!configured || !options.folder.empty()) return index.drivers();
  TRY(const Config config, read_config(root));
  return std::vector{config.driver};
}

View look(const VerifiedIndex& verified, const std::vector<std::string>& drivers, ChannelWish wish) {
  const ChannelIndex& index = verified.index();
  View view;
  for (const std::string& driver : drivers) {
    wish.driver = driver;
    // Images to build in are for whoever builds; they stand under a name of their own.
    wish.kinds = driver == "builder" ? std::vector{Kind::builder} : ChannelWish().kinds;
    view.choices.push_back({driver, select_image(verified, wish)});
    for (const ChannelRelease& release : index.releases) {
      if (release.driver != driver) continue;
      view.lines.push_back({&release, rollout_place(wish.node, index.channel, driver, release.number),
                            fitting_image(release, wish) != nullptr});
    }
  }
  std::stable_sort(view.lines.begin(), view.lines.end(), [](const Line& a, const Line& b) {
    return a.release->driver == b.release->driver && a.release->number > b.release->number;
  });
  return view;
}

const char* verdict_word(const Line& line, const View& view) {
  if (!line.fits) return "no image";
  if (!is_rolled_out(line.place, line.release->percent)) return "waits";
  for (const Choice& choice : view.choices) {
    const bool taken =
        choice.offer && choice.driver == line.release->driver && choice.offer->release == line.release->number;
    if (taken) return "takes it";
  }
  return "has newer";
}

void print_table(const VerifiedIndex& verified, const View& view, const ChannelWish& wish) {
  const ChannelIndex& index = verified.index();
  std::printf("%12s: %s, index %llu\n", "Channel", index.channel.c_str(),
              static_cast<unsigned long long>(index.serial));
  std::printf("%12s: %s\n", "Signer", printable(verified.signer().subject).c_str());
  std::printf("%12s: %s\n", "Created", utc_text(index.created).c_str());
  std::printf("%12s: %s\n", "Expires", utc_text(index.expires).c_str());
  std::printf("%12s: %s (%s)%s\n", "This node", wish.kernel_release.c_str(), wish.architecture.c_str(),
              wish.node ? "" : ", without a machine id: it takes what is rolled out to all");
  if (view.lines.empty()) return;
  std::printf("\n  %-12s %-10s %-16s %11s %9s  %-10s %s\n", "DRIVER", "RELEASE", "VERSION", "ROLLED OUT", "PLACE",
              "THIS NODE", "IMAGES");
  for (const Line& line : view.lines) {
    const ChannelRelease& release = *line.release;
    std::printf("  %-12s %-10s %-16s %9u %% %9s  %-10s %zu\n", release.driver.c_str(), release.number.text().c_str(),
                release.version.c_str(), release.percent, place_text(line.place).c_str(), verdict_word(line, view),
                release.images.size());
  }
  std::puts("");
  for (const Choice& choice : view.choices) {
    if (!choice.offer) continue;
    const Offer& offer = *choice.offer;
    std::printf("%s: release %s (%s), %s, %s, %s\n", offer.driver.c_str(), offer.release.text().c_str(),
                offer.version.c_str(), offer.image.kind.c_str(), human_size(offer.image.size).c_str(),
                offer.image.file().c_str());
    if (offer.waiting) std::printf("%s: %s\n", offer.driver.c_str(), offer.waiting->text().c_str());
  }
}

OrderedJson to_json(const VerifiedIndex& verified, const View& view, const ChannelWish& wish) {
  const ChannelIndex& index = verified.index();
  OrderedJson releases = OrderedJson::array();
  for (const Line& line : view.lines) {
    releases.push_back({{"driver", line.release->driver},
                        {"release", line.release->number.text()},
                        {"version", line.release->version},
                        {"percent", line.release->percent},
                        {"place", line.place / 100.0},
                        {"rolledOut", is_rolled_out(line.place, line.release->percent)},
                        {"fits", line.fits},
                        {"images", line.release->images.size()}});
  }
  OrderedJson choices = OrderedJson::array();
  for (const Choice& choice : view.choices) {
    OrderedJson object = {{"driver", choice.driver}};
    if (choice.offer) {
      const Offer& offer = *choice.offer;
      object["release"] = offer.release.text();
      object["version"] = offer.version;
      object["kind"] = offer.image.kind;
      object["rootHash"] = offer.image.root_hash;
      object["size"] = offer.image.size;
      object["file"] = offer.image.file();
      if (offer.waiting) object["waiting"] = offer.waiting->number.text();
    } else {
      object["reason"] = reason_info(reason_of(choice.offer.error())).code;
      object["message"] = choice.offer.error().message();
    }
    choices.push_back(std::move(object));
  }
  return {{"channel", index.channel},
          {"serial", index.serial},
          {"created", index.created},
          {"expires", index.expires},
          {"signer", verified.signer().subject},
          {"kernelRelease", wish.kernel_release},
          {"architecture", wish.architecture},
          {"releases", std::move(releases)},
          {"choices", std::move(choices)}};
}

Result<int> check(const Options& options) {
  TRY(const Dir root, Dir::open_root(options.root));
  TRY(const VerifiedIndex index, read_index(options, root));
  TRY(const ChannelWish wish, wish_of_node(options, root));
  TRY(const std::vector<std::string> drivers, drivers_of(options, root, index.index()));
  const View view = look(index, drivers, wish);
  if (options.mode == JsonMode::off) {
    print_table(index, view, wish);
  } else {
    print_json(to_json(index, view, wish), options.mode);
  }
  std::fflush(stdout);  // before what goes to standard error
  if (view.choices.empty()) std::fputs("The channel is empty. Fill it with: driverext channel publish\n", stderr);
  int code = 0;
  for (const Choice& choice : view.choices) {
    if (choice.offer) continue;
    const int own = fail(choice.offer.error());
    if (code == 0) code = own;
  }
  return view.choices.empty() ? static_cast<int>(ExitCode::nothing_fits) : code;
}

}  // namespace

int channel_check(int argc, char** argv) {
  Options options;
  enum : int { kUrl = 256, kCertificate, kDriver, kKernel, kRoot, kJson };
  static constexpr std::array kOptions = {
      option{"url", required_argument, nullptr, kUrl},
      option{"certificate", required_argument, nullptr, kCertificate},
      option{"driver", required_argument, nullptr, kDriver},
      option{"kernel", required_argument, nullptr, kKernel},
      option{"root", required_argument, nullptr, kRoot},
      option{"json", required_argument, nullptr, kJson},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kUrl:
        options.url = optarg;
        break;
      case kCertificate:
        options.certificates.emplace_back(optarg);
        break;
      case kDriver:
        options.driver = optarg;
        break;
      case kKernel:
        options.kernel = optarg;
        break;
      case kRoot:
        options.root = optarg;
        break;
      case kJson: {
        const Result<JsonMode> parsed = parse_json_mode(optarg);
        if (!parsed) return usage_error(parsed.error().message());
        options.mode = *parsed;
        break;
      }
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind < argc) options.folder = argv[optind++];
  if (optind != argc) return usage_error(std::string("unexpected argument ") + argv[optind]);
  if (!options.url.empty() && !options.folder.empty()) return usage_error("--url and a directory exclude each other");
  if (!options.url.empty()) {
    if (const Result<void> fine = check_channel_url(options.url); !fine) return usage_error(fine.error().message());
  }
  const Result<int> code = check(options);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
