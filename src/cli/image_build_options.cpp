#include "cli/image_build_options.hpp"

#include <getopt.h>

#include <array>
#include <charconv>
#include <cstdio>

#include "base/text.hpp"
#include "cli/verb.hpp"

namespace driverext::cli {
namespace {

constexpr const char* kHelp =
    "Usage: driverext image build [OPTION...] OUTPUT\n"
    "Make an extension image: a Discoverable Disk Image with dm-verity and signature.\n"
    "\n"
    "What goes in:\n"
    "      --modules=DIR        kernel modules (*.ko, also .xz, .zst, .gz), all for one kernel\n"
    "      --dkms=DIR|DEB       modules built from a DKMS source tree or a Debian -dkms package\n"
    "      --userland=PATH      user libraries and programs: a directory, or a driver's *.run\n"
    "                           archive, which is unpacked and not run\n"
    "      --tree=DIR           --kind=source: the Kbuild tree; --kind=builder: a root file system\n"
    "                           with compiler and kernel headers; else: a directory with usr/\n"
    "      --filesystem=FILE    a finished squashfs or erofs that driverext made, as it is\n"
    "      --definition=FILE    the driver's definition (TOML)\n"
    "\n"
    "What it is:\n"
    "      --driver=NAME        default: from --definition or --dkms\n"
    "      --driver-version=V   default: from --dkms or the *.run archive\n"
    "      --flavor=NAME        of this version, open or proprietary\n"
    "      --os=ID[:VERSION]    ID and VERSION_ID of the host's os-release. Default: of --builder;\n"
    "                           for userland any OS\n"
    "      --license=TEXT       default: what the modules say\n"
    "      --manifest=FILE      all of these as JSON\n"
    "      --kind=KIND          modules, userland, complete, source or builder. Default: what the\n"
    "                           inputs make it\n"
    "      --with-userland      modules that are used together with the userland image of the same\n"
    "                           version, made and published apart\n"
    "\n"
    "How it is made:\n"
    "      --kernel=RELEASE     kernel that --dkms builds for; --modules must be for it\n"
    "      --builder=DIR|host   --dkms: root file system with that kernel's compiler and headers,\n"
    "                           entered as a container without network; host: no container\n"
    "      --userland-class=CLASS   compute (default), graphics or all of a *.run archive\n"
    "      --compat32           --userland: 32-bit libraries too\n"
    "      --module-sources=DIR     keep the kernel module sources of an archive, in DIR/FLAVOR\n"
    "      --fs=squashfs|erofs  file system (default: squashfs, zstd)\n"
    "      --level=N            zstd level of a squashfs, 1 to 22 (default 15)\n"
    "\n"
    "Who signs it; without a key the image stays unsigned, for driverext image sign:\n"
    "      --key=FILE|URI       private key (PEM), or where OpenSSL finds it (pkcs11:...)\n"
    "      --certificate=FILE   its certificate\n"
    "      --passphrase-file=FILE   passphrase or PIN of the key, in the first line\n"
    "\n"
    "  -h, --help               show this help\n"
    "\n"
    "SOURCE_DATE_EPOCH sets the creation time; without it the newest input's time is taken, so that\n"
    "the same input gives the same image.\n"
    "\n"
    "Example: driverext image build --dkms=jool-dkms_4.1.9-1_all.deb --kernel=6.1.0-40-amd64 \\\n"
    "           --builder=/srv/builder --key=publisher.key --certificate=publisher.crt jool.raw\n";

enum : int {
  kModules = 256,
  kDkms,
  kUserland,
  kTree,
  kFileSystem,
  kDefinition,
  kDriver,
  kDriverVersion,
  kFlavor,
  kOs,
  kLicense,
  kManifest,
  kKind,
  kWithUserland,
  kKernel,
  kBuilder,
  kClass,
  kCompat32,
  kModuleSources,
  kType,
  kLevel,
};

std::optional<int> parse_level(std::string_view text) {
  int level = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (code != std::errc() || end != text.data() + text.size() || level < 1 || level > 22) return std::nullopt;
  return level;
}

// Why the option's value cannot be taken; empty if it can.
std::string take(ImageBuildOptions& options, int choice, const std::string& value) {
  const auto set = [&](std::string& member) {
    member = value;
    return std::string();
  };
  switch (choice) {
    case kModules:
      return set(options.modules);
    case kDkms:
      return set(options.dkms);
    case kUserland:
      return set(options.userland);
    case kTree:
      return set(options.tree);
    case kFileSystem:
      return set(options.file_system);
    case kDefinition:
      return set(options.definition);
    case kDriver:
      return set(options.stated.driver);
    case kDriverVersion:
      return set(options.stated.version);
    case kFlavor:
      return set(options.stated.flavor);
    case kOs: {
      const size_t colon = value.find(':');
      options.stated.os_id = value.substr(0, colon);
      options.stated.os_version_id = colon == std::string::npos ? "" : value.substr(colon + 1);
      return {};
    }
    case kLicense:
      return set(options.stated.license);
    case kManifest:
      return set(options.manifest);
    case kKind: {
      const Result<Kind> kind = kind_of_name(value);
      if (!kind) return "--kind takes modules, userland, complete, source or builder";
      options.kind = *kind;
      return {};
    }
    case kWithUserland:
      options.belongs_to_userland = true;
      return {};
    case kKernel:
      return set(options.kernel);
    case kBuilder:
      return set(options.builder);
    case kClass: {
      const Result<UserlandClass> wanted = userland_class_of_name(value);
      if (!wanted) return "--userland-class takes compute, graphics or all";
      options.wanted = *wanted;
      return {};
    }
    case kModuleSources:
      return set(options.module_sources);
    case kCompat32:
      options.compat32 = Compat32::include;
      return {};
    case kType:
      if (value != "squashfs" && value != "erofs") return "--fs takes squashfs or erofs";
      options.type = value == "erofs" ? FileSystem::erofs : FileSystem::squashfs;
      return {};
    case kLevel: {
      const std::optional<int> level = parse_level(value);
      if (!level) return "--level takes a number from 1 to 22";
      options.level = *level;
      return {};
    }
    default:
      return "wrong option";
  }
}

Kind kind_of_inputs(const ImageBuildOptions& options) {
  const bool modules = !options.modules.empty() || !options.dkms.empty();
  const bool user_part = !options.userland.empty() || !options.tree.empty();
  if (modules) return user_part ? Kind::complete : Kind::modules;
  return Kind::userland;
}

// What is missing or too much; empty if nothing.
std::string check(const ImageBuildOptions& options) {
  if (options.key.key.empty() != options.key.certificate.empty()) return "--key and --certificate go together";
  if (!options.file_system.empty()) {
    ImageBuildOptions alone;
    alone.file_system = options.file_system;
    alone.key = options.key;
    alone.output = options.output;
    return alone == options ? "" : "--filesystem is all of the image: only --key and --certificate go with it";
  }
  const bool nothing =
      options.modules.empty() && options.dkms.empty() && options.userland.empty() && options.tree.empty();
  if (nothing) return "say what goes in: --modules, --dkms, --userland, --tree or --filesystem";
  const Kind kind = *options.kind;
  const std::string name = "--kind=" + std::string(kind_name(kind));
  const bool wants_modules = kind == Kind::modules || kind == Kind::complete;
  const bool wants_user_part = kind == Kind::userland || kind == Kind::complete;
  const bool has_modules = !options.modules.empty() || !options.dkms.empty();
  if (!options.modules.empty() && !options.dkms.empty()) return "--modules and --dkms do not go together";
  if (!options.userland.empty() && !options.tree.empty()) return "--userland and --tree do not go together";
  if (wants_modules && !has_modules) return name + " needs --modules or --dkms";
  if (!wants_modules && has_modules) return name + " takes no modules";
  if (wants_user_part && options.userland.empty() && options.tree.empty()) return name + " needs --userland or --tree";
  if (!wants_user_part && !options.userland.empty()) return name + " takes no --userland";
  if ((kind == Kind::source || kind == Kind::builder) && options.tree.empty()) return name + " needs --tree";
  if (kind == Kind::modules && !options.tree.empty()) return name + " takes no --tree";
  if (!options.dkms.empty() && options.kernel.empty()) return "--dkms needs --kernel=RELEASE";
  if (!options.dkms.empty() && options.builder.empty()) {
    return "--dkms needs --builder=DIR, a root file system with the kernel's compiler and headers (or host)";
  }
  if (options.dkms.empty() && !options.builder.empty()) return "--builder goes with --dkms";
  if (!has_modules && !options.kernel.empty()) return "--kernel goes with --dkms or --modules";
  const bool of_userland = !options.module_sources.empty() || options.compat32 == Compat32::include ||
                           options.wanted != UserlandClass::compute;
  if (options.userland.empty() && of_userland) {
    return "--userland-class, --compat32 and --module-sources go with --userland";
  }
  if (options.type == FileSystem::erofs && options.level) return "--level is of squashfs; erofs has none";
  if (options.belongs_to_userland && kind != Kind::modules) return "--with-userland is for --kind=modules";
  return {};
}

}  // namespace

std::variant<ImageBuildOptions, int> parse_image_build(int argc, char** argv) {
  static constexpr std::array kOptions = {
      option{"modules", required_argument, nullptr, kModules},
      option{"dkms", required_argument, nullptr, kDkms},
      option{"userland", required_argument, nullptr, kUserland},
      option{"tree", required_argument, nullptr, kTree},
      option{"filesystem", required_argument, nullptr, kFileSystem},
      option{"definition", required_argument, nullptr, kDefinition},
      option{"driver", required_argument, nullptr, kDriver},
      option{"driver-version", required_argument, nullptr, kDriverVersion},
      option{"flavor", required_argument, nullptr, kFlavor},
      option{"os", required_argument, nullptr, kOs},
      option{"license", required_argument, nullptr, kLicense},
      option{"manifest", required_argument, nullptr, kManifest},
      option{"kind", required_argument, nullptr, kKind},
      option{"with-userland", no_argument, nullptr, kWithUserland},
      option{"kernel", required_argument, nullptr, kKernel},
      option{"builder", required_argument, nullptr, kBuilder},
      option{"userland-class", required_argument, nullptr, kClass},
      option{"module-sources", required_argument, nullptr, kModuleSources},
      option{"compat32", no_argument, nullptr, kCompat32},
      option{"fs", required_argument, nullptr, kType},
      option{"level", required_argument, nullptr, kLevel},
      kKeyOption,
      kCertificateOption,
      kPassphraseFileOption,
      option{"help", no_argument, nullptr, 'h'},
      option{nullptr, 0, nullptr, 0},
  };
  ImageBuildOptions options;
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    if (choice == 'h') {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (options.key.take(choice, optarg)) continue;
    const std::string wrong = take(options, choice, optarg == nullptr ? "" : optarg);
    if (!wrong.empty()) return usage_error(wrong);
  }
  if (optind + 1 != argc) return usage_error("name exactly one output file");
  options.output = argv[optind];
  if (options.file_system.empty() && !options.kind) options.kind = kind_of_inputs(options);
  const std::string wrong = check(options);
  if (!wrong.empty()) return usage_error(wrong);
  return options;
}

}  // namespace driverext::cli
