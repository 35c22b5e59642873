// driverext channel init: a new, empty channel.
#include <getopt.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/text.hpp"
#include "cli/channel_terms.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext channel init --name=NAME --key=FILE --certificate=FILE [OPTION...] DIR\n"
    "Make a channel: a directory for any web server, with a signed index of the images in it.\n"
    "\n"
    "      --name=NAME          what the channel is called; nodes remember it by this name\n"
    "      --key=FILE|URI       private key that signs the index: PEM file or pkcs11: URI\n"
    "      --certificate=FILE   its certificate (PEM); what nodes have as trust anchor\n"
    "      --passphrase-file=FILE\n"
    "                           the key's passphrase or PIN (default: ask for it)\n"
    "      --expires=DAYS       nodes refuse the index after this time; publish or rollout makes\n"
    "                           a new one (default 30)\n"
    "  -h, --help               show this help\n"
    "\n"
    "DIR is made if it is not there. Make a channel only once: nodes that have read it refuse one\n"
    "that starts over.\n";

Result<int> init(const std::string& path, const std::string& name, const TermsOptions& options) {
  TRY(const LoadedTerms loaded, load_terms(options));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return os_failure(errno, "cannot make directory " + path);
  TRY(const Dir folder, Dir::open_root(path));
  TRY(const Published made, init_channel(folder, name, loaded.terms()));
  std::printf("%s\n", describe(made.index).c_str());
  return 0;
}

}  // namespace

int channel_init(int argc, char** argv) {
  TermsOptions terms;
  std::string name;
  enum : int { kName = 256, kExpires };
  static constexpr std::array kOptions = {
      option{"name", required_argument, nullptr, kName},
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"expires", required_argument, nullptr, kExpires},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kName:
        name = optarg;
        break;
      case kExpires: {
        const std::optional<uint64_t> days = parse_number(optarg, 1, kMaxDays);
        if (!days) return usage_error(kDaysError);
        terms.days = *days;
        break;
      }
      case 'h':
        std::fputs(kHelp, stdout);
        return 0;
      default:
        if (!terms.key.take(choice, optarg)) return usage_error("wrong option");
    }
  }
  if (optind + 1 != argc) return usage_error("name exactly one directory");
  if (name.empty()) return usage_error("--name is needed");
  if (const Result<void> fine = check_name("channel", name); !fine) return usage_error(fine.error().message());
  if (!terms.key.are_complete()) return usage_error(kKeyNeeded);
  const Result<int> code = init(argv[optind], name, terms);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
