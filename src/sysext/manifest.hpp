// The manifest: what an extension image holds and which host it is for. Signed with the root hash.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sysext/module_record.hpp"

namespace driverext {

/// Where the manifest stands inside an image.
constexpr std::string_view kManifestPath = "usr/lib/driverext/manifest.json";
/// The signed statement of a manifest of this size still fits into a signature partition (kMaxSignaturePartition).
constexpr size_t kMaxManifestSize = size_t{2} << 20;

/// What an extension holds.
enum class Kind {
  modules,   ///< kernel modules for one kernel
  userland,  ///< the driver's user libraries and programs, for every kernel
  complete,  ///< modules and userland in one
  source,    ///< a Kbuild tree to build modules from
  builder,   ///< a root file system with compiler and kernel headers
};
std::string_view kind_name(Kind kind);
/// Errors: Errc::unsupported.
Result<Kind> kind_of_name(std::string_view name);

/// The driver that builder images, and no others, are images of: the policy's rules for it say whose compiler is used.
constexpr std::string_view kBuilderDriver = "builder";

struct Manifest {
  std::string driver;  ///< of a builder image: kBuilderDriver
  std::string version;
  std::string flavor;  ///< of one version, "open" or "proprietary"; mostly empty
  Kind kind = Kind::modules;
  std::string userland;  ///< modules: version of the userland extension that belongs to them; empty: they need none
  std::string kernel_release;        ///< modules, complete; else empty
  std::string vermagic;              ///< modules, complete; else empty
  std::vector<std::string> kernels;  ///< builder: the kernel releases whose headers it has
  std::string architecture;          ///< as systemd spells it
  std::string os_id;                 ///< ID= of the host's os-release
  std::string os_version_id;         ///< VERSION_ID=
  std::string license;
  uint64_t created = 0;       ///< seconds since 1970, from SOURCE_DATE_EPOCH
  std::string toolchain;      ///< modules, complete: the compilers' own words; can be empty
  std::string source_sha256;  ///< digest of the sources that all was made from, hex; empty: not told
  /// modules, complete: root hashes (hex) of the images that it was built from, its source and builder; can be empty
  std::vector<std::string> built_from;
  std::vector<std::string> firmware;  ///< complete, userland: files below usr/lib/firmware that the image holds, sorted
  std::vector<ModuleRecord> modules;  ///< modules, complete; else empty

  /// Holds modules to load, not something to build from.
  [[nodiscard]] bool is_loadable() const { return kind == Kind::modules || kind == Kind::complete; }
  [[nodiscard]] bool has_userland() const { return kind == Kind::complete || kind == Kind::userland; }
  /// Meant to stand over a host's /usr, so it may hold nothing else.
  [[nodiscard]] bool is_merged() const { return is_loadable() || has_userland(); }
};

/// What the driver root needs beside the extension's own usr/, a C library above all, lies here in an image: "lib64" in
/// it becomes the root's /lib64. In usr/lib64 itself it would take the place of the host's once it is merged.
constexpr std::string_view kRootOnlyFolder = "usr/lib/driverext/root";

/// ID= of an extension that may be merged into every OS: a userland, whose programs bring what they need.
constexpr std::string_view kAnyOs = "_any";

/// The name under which systemd-sysext knows an image of this manifest: a driver's modules and its userland may be
/// merged side by side.
std::string extension_name(const Manifest& manifest);

/// Where the Kbuild tree of a source extension stands in it.
std::string source_folder(const Manifest& manifest);

/// The members of a manifest of this kind, in the order in which they are written; those that can be absent included.
std::vector<std::string_view> manifest_members(Kind kind);
inline constexpr auto kOsMembers = std::to_array<std::string_view>({"id", "versionId"});
inline constexpr auto kSourceMembers = std::to_array<std::string_view>({"sha256"});

/// Strict: unknown members, duplicate members and unusable names are errors (Errc::invalid_input).
Result<Manifest> parse_manifest(std::string_view text);
/// Members in a fixed order: equal manifests have equal bytes.
std::string format_manifest(const Manifest& manifest);

/// What a module or a tool says of itself, as free text of a manifest: bytes that are not printable ASCII become \xNN,
/// line breaks and tabs blanks, and what is longer than `max_size` ends with "...". Equal input gives equal text.
std::string manifest_text(std::string_view text, size_t max_size = std::string::npos);

/// What a person writes for `driverext image build`: a manifest without what the modules tell.
struct ManifestInput {
  std::string driver;
  std::string version;
  std::string flavor;
  std::string userland;
  std::string os_id;
  std::string os_version_id;
  std::string license;

  bool operator==(const ManifestInput&) const = default;
};
Result<ManifestInput> parse_manifest_input(std::string_view text);

}  // namespace driverext
