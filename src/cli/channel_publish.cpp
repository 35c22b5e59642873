// driverext channel publish: images go into a channel.
#include <fcntl.h>
#include <getopt.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <span>

#include "cli/channel_terms.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext channel publish --key=FILE --certificate=FILE [OPTION...] DIR IMAGE...\n"
    "Check images whole, copy them into the channel in DIR, and sign a new index that names them.\n"
    "\n"
    "      --key=FILE|URI       private key that signs the index: PEM file or pkcs11: URI\n"
    "      --certificate=FILE   its certificate (PEM); it must vouch for the images too\n"
    "      --passphrase-file=FILE\n"
    "                           the key's passphrase or PIN (default: ask for it)\n"
    "      --trust=FILE         one more certificate whose images and index are taken over, for a\n"
    "                           change of keys; may be given several times\n"
    "      --release=A.B.C      release that the images belong to (default: the one after the\n"
    "                           driver's newest, or 1.0.0); one that is there gains images\n"
    "      --percent=N          nodes that a new release reaches, 0 to 100 (default 100)\n"
    "      --expires=DAYS       nodes refuse the index after this time (default 30)\n"
    "  -h, --help               show this help\n"
    "\n"
    "Driver, version and kernel come from the signed manifests. Nodes see either the old index or\n"
    "the new one. If anything fails, the channel is as it was.\n";

Result<int> publish(const std::string& path, std::span<char*> images, PublishRequest request,
                    const TermsOptions& options) {
  TRY(const LoadedTerms loaded, load_terms(options));
  TRY(const Dir folder, Dir::open_root(path));
  for (const char* image : images) {
    UniqueFd fd(::open(image, O_RDONLY | O_CLOEXEC));
    if (!fd) return os_failure(errno, std::string("cannot open ") + image);
    request.images.push_back({std::move(fd), image});
  }
  TRY(const Published made, publish_images(folder, request, loaded.terms()));
  const ChannelRelease& release = *made.index.find(made.driver, made.release);
  std::printf("release %s: %s %s, %zu image(s), rolled out to %u %%\n%s\n", release.number.text().c_str(),
              release.driver.c_str(), release.version.c_str(), release.images.size(), release.percent,
              describe(made.index).c_str());
  return 0;
}

}  // namespace

int channel_publish(int argc, char** argv) {
  TermsOptions terms;
  PublishRequest request;
  enum : int { kTrust = 256, kRelease, kPercent, kExpires };
  static constexpr std::array kOptions = {
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"trust", required_argument, nullptr, kTrust},
      option{"release", required_argument, nullptr, kRelease},
      option{"percent", required_argument, nullptr, kPercent},
      option{"expires", required_argument, nullptr, kExpires},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kTrust:
        terms.trust.emplace_back(optarg);
        break;
      case kRelease: {
        const Result<ReleaseNumber> number = ReleaseNumber::parse(optarg);
        if (!number) return usage_error(number.error().message());
        request.release = *number;
        break;
      }
      case kPercent: {
        const std::optional<uint64_t> percent = parse_number(optarg, 0, 100);
        if (!percent) return usage_error(kPercentError);
        request.percent = static_cast<unsigned>(*percent);
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
  if (optind + 2 > argc) return usage_error("name a directory and at least one image");
  if (!terms.key.are_complete()) return usage_error(kKeyNeeded);
  const std::span arguments(argv, static_cast<size_t>(argc));
  const Result<int> code =
      publish(argv[optind], arguments.subspan(static_cast<size_t>(optind) + 1), std::move(request), terms);
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
