// driverext channel rollout: how many nodes a release reaches.
#include <getopt.h>

#include <array>
#include <cstdio>

#include "cli/channel_terms.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext channel rollout --key=FILE --certificate=FILE --percent=N [OPTION...] DIR\n"
    "Set how many nodes a release reaches, and sign a new index that says so.\n"
    "\n"
    "      --key=FILE|URI       private key that signs the index: PEM file or pkcs11: URI\n"
    "      --certificate=FILE   its certificate (PEM)\n"
    "      --passphrase-file=FILE\n"
    "                           the key's passphrase or PIN (default: ask for it)\n"
    "      --trust=FILE         one more certificate whose index is taken over, for a change of\n"
    "                           keys; may be given several times\n"
    "      --percent=N          0 to 100: 0 holds it back, and calls it back from nodes that poll;\n"
    "                           the same number as before only makes the index valid for longer\n"
    "      --driver=NAME        driver (default: the only one in the channel)\n"
    "      --release=A.B.C      release (default: the driver's newest)\n"
    "      --expires=DAYS       nodes refuse the index after this time (default 30)\n"
    "  -h, --help               show this help\n"
    "\n"
    "A higher number adds nodes and drops none. Which nodes come first differs from release to\n"
    "release.\n";

Result<int> rollout(const std::string& path, const RolloutRequest& request, const TermsOptions& options) {
  TRY(const LoadedTerms loaded, load_terms(options));
  TRY(const Dir folder, Dir::open_root(path));
  TRY(const Published made, set_rollout(folder, request, loaded.terms()));
  std::printf("release %s of %s: rolled out to %u %%\n%s\n", made.release.text().c_str(), made.driver.c_str(),
              request.percent, describe(made.index).c_str());
  return 0;
}

}  // namespace

int channel_rollout(int argc, char** argv) {
  TermsOptions terms;
  RolloutRequest request;
  std::optional<uint64_t> percent;
  enum : int { kTrust = 256, kPercent, kDriver, kRelease, kExpires };
  static constexpr std::array kOptions = {
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"trust", required_argument, nullptr, kTrust},
      option{"percent", required_argument, nullptr, kPercent},
      option{"driver", required_argument, nullptr, kDriver},
      option{"release", required_argument, nullptr, kRelease},
      option{"expires", required_argument, nullptr, kExpires},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kTrust:
        terms.trust.emplace_back(optarg);
        break;
      case kPercent:
        percent = parse_number(optarg, 0, 100);
        if (!percent) return usage_error(kPercentError);
        break;
      case kDriver:
        request.driver = optarg;
        break;
      case kRelease: {
        const Result<ReleaseNumber> number = ReleaseNumber::parse(optarg);
        if (!number) return usage_error(number.error().message());
        request.release = *number;
        break;
      }
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
  if (!terms.key.are_complete()) return usage_error(kKeyNeeded);
  if (!percent) return usage_error("--percent is needed");
  request.percent = static_cast<unsigned>(*percent);
  const Result<int> code = rollout(argv[optind], request, terms);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
