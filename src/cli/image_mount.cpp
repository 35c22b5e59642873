// driverext image mount and image umount: an image's files, for a person to look at.
#include <getopt.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "cli/image_arguments.hpp"
#include "cli/verb.hpp"
#include "kernel/linux_kernel.hpp"
#include "provisioner/image_mount.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kMountHelp =
    "Usage: driverext image mount [--trust=FILE|DIR...] [--without-verity] IMAGE DIR\n"
    "Verify an image as image verify does, and mount it read-only at a directory.\n"
    "\n"
    "The kernel checks every block as it is read (dm-verity). What is provisioned is not touched.\n"
    "\n"
    "      --trust=PATH      trust anchor: a certificate (PEM) or a directory of *.crt; may be given\n"
    "                        several times. Default: /etc/driverext/trust and /usr/lib/driverext/trust\n"
    "      --without-verity  for a kernel that has no dm-verity: reads and checks every block first;\n"
    "                        the kernel does not check what is read later\n"
    "  -h, --help            show this help\n"
    "\n"
    "Exit codes: 0 mounted, 65 not trusted, 77 not root.\n";

constexpr const char* kUmountHelp =
    "Usage: driverext image umount DIR\n"
    "Take away what image mount put there: mount, dm-verity device and loop devices.\n"
    "\n"
    "  -h, --help  show this help\n";

// Mount points are told by their path alone, so it must be the real one.
Result<std::string> real_folder(const std::string& path) {
  std::error_code error;
  std::string real = std::filesystem::canonical(path, error).string();
  if (!error && !std::filesystem::is_directory(real, error)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) return os_failure(error.value(), "cannot use " + path);
  return real;
}

Result<void> check_root() {
  if (::geteuid() == 0) return {};
  return make_error(Errc::system, Reason::not_permitted, "mounting needs root");
}

Result<void> mount(const std::string& image_path, const std::string& folder, const std::vector<std::string>& trust,
                   Guard guard) {
  TRY_VOID(check_root());
  TRY(const std::string target, real_folder(folder));
  TRY(const TrustStore anchors, load_anchors(trust));
  TRY(ImageFile file, open_image(image_path));
  TRY_VOID(check_file_is_ours(file.fd(), image_path));
  TRY(const VerifiedImage image,
      VerifiedImage::verify(std::move(file), anchors, static_cast<int64_t>(::time(nullptr))));
  TRY(const Dir root, Dir::open_root("/"));
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  Result<void> mounted = mount_image(*kernel, root, image, target, guard);
  if (!mounted && mounted.error().reason == Reason::kernel_feature_missing && guard == Guard::dm_verity) {
    mounted.error().what += " (--without-verity mounts it without dm-verity: see --help)";
  }
  TRY_VOID(std::move(mounted));
  std::printf("%s %s, signed by %s, is mounted at %s\n", image.manifest().driver.c_str(),
              image.manifest().version.c_str(), image.signer().subject.c_str(), target.c_str());
  return {};
}

Result<void> umount(const std::string& folder) {
  TRY_VOID(check_root());
  TRY(const std::string target, real_folder(folder));
  TRY(const Dir root, Dir::open_root("/"));
  return unmount_image(*make_linux_kernel(root), root, target);
}

int finish(const Result<void>& result) { return result ? 0 : fail(result.error()); }

}  // namespace

int image_mount(int argc, char** argv) {
  std::vector<std::string> trust;
  Guard guard = Guard::dm_verity;
  enum : int { kTrust = 256, kWithoutVerity };
  static constexpr std::array kOptions = {
      option{"trust", required_argument, nullptr, kTrust},
      option{"without-verity", no_argument, nullptr, kWithoutVerity},
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (choice) {
      case kTrust:
        trust.emplace_back(optarg);
        break;
      case kWithoutVerity:
        guard = Guard::checked_once;
        break;
      case 'h':
        std::fputs(kMountHelp, stdout);
        return 0;
      default:
        return usage_error("wrong option");
    }
  }
  if (optind + 2 != argc) return usage_error("name one image and one directory");
  return finish(mount(argv[optind], argv[optind + 1], trust, guard));
}

int image_umount(int argc, char** argv) {
  static constexpr std::array kOptions = {option{"help", no_argument, nullptr, 'h'}, option{nullptr, 0, nullptr, 0}};
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    if (choice != 'h') return usage_error("wrong option");
    std::fputs(kUmountHelp, stdout);
    return 0;
  }
  if (optind + 1 != argc) return usage_error("name exactly one directory");
  return finish(umount(argv[optind]));
}

}  // namespace driverext::cli
