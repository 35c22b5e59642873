#include "acquire/pack.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "driver/definition.hpp"
#include "sys/dir.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFirmwareFolder = "usr/lib/firmware";
constexpr std::array<const char*, 3> kFirmwareEndings = {"", ".xz", ".zst"};

Result<uint64_t> modification_time(const fs::path& file) {
  struct stat info {};
  if (::lstat(file.c_str(), &info) != 0) return os_failure(errno, "cannot look at " + file.string());
  return static_cast<uint64_t>(std::max<time_t>(info.st_mtim.tv_sec, 0));
}

// Of files, not of directories: unpacking or copying makes those anew.
Result<uint64_t> newest_in(const std::string& folder) {
  uint64_t newest = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!fs::is_regular_file(it->symlink_status(error))) continue;
    TRY(const uint64_t time, modification_time(it->path()));
    newest = std::max(newest, time);
  }
  if (error) return os_failure(error.value(), "cannot list " + folder);
  return newest;
}

Result<uint64_t> creation_time(const PackInput& input) {
  TRY(const std::optional<uint64_t> epoch, source_date_epoch());
  if (epoch) return *epoch;
  uint64_t newest = 0;
  for (const std::string& folder : {input.modules, input.tree}) {
    if (folder.empty()) continue;
    TRY(const uint64_t time, newest_in(folder));
    newest = std::max(newest, time);
  }
  if (!input.definition.empty()) {
    TRY(const uint64_t time, modification_time(input.definition));
    newest = std::max(newest, time);
  }
  return newest;
}

Result<void> add_modules(const PackInput& input, PackResult& result) {
  TRY(PackedModules packed, pack_modules(input.modules, input.manifest.driver, input.output));
  Manifest& manifest = result.request.manifest;
  manifest.vermagic = std::move(packed.vermagic);
  manifest.kernel_release = std::move(packed.kernel_release);
  manifest.architecture = std::move(packed.architecture);
  if (manifest.license.empty()) manifest.license = std::move(packed.license);
  manifest.toolchain = std::move(packed.toolchain);
  manifest.modules = std::move(packed.records);
  result.request.files = std::move(packed.files);
  result.scratch = std::move(packed.scratch);
  return {};
}

Result<void> add_definition(const PackInput& input, PackResult& result) {
  if (input.definition.empty()) return {};
  if (!result.request.manifest.is_merged()) {
    return make_error(Errc::invalid_input, "only images that are loaded or merged carry a driver definition");
  }
  const UniqueFd fd(::open(input.definition.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + input.definition);
  TRY(std::string text, read_fd(fd.get(), kMaxDefinition, input.definition));
  const std::string& driver = input.manifest.driver;
  TRY_VOID(parse_definition(text, driver, input.definition));
  result.request.files.push_back({"", "usr/lib/driverext/drivers/" + driver + ".toml", std::move(text)});
  return {};
}

// Every file below a tree's firmware folder, by its name there.
Result<std::vector<std::string>> firmware_of(const std::string& tree) {
  std::vector<std::string> names;
  const fs::path folder = fs::path(tree) / kFirmwareFolder;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!fs::is_directory(it->symlink_status(error)))
      names.push_back(manifest_text(it->path().lexically_relative(folder).string()));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return os_failure(error.value(), "cannot list " + folder.string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The kernel takes firmware from the tree or from the host, also compressed; which of them is a matter of the driver.
// So what is missing is worth a word, and no error.
Result<void> note_missing_firmware(const PackInput& input, PackResult& result) {
  const std::vector<std::string>& there = result.request.manifest.firmware;
  const auto is_there = [&](const std::string& wanted) {
    return std::any_of(there.begin(), there.end(), [&](const std::string& name) {
      return std::any_of(kFirmwareEndings.begin(), kFirmwareEndings.end(), [&](const char* ending) {
        return ::fnmatch((wanted + ending).c_str(), name.c_str(), FNM_PATHNAME) == 0;
      });
    });
  };
  for (const ModuleRecord& record : result.request.manifest.modules) {
    for (const std::string& wanted : record.firmware) {
      if (is_there(wanted)) continue;
      result.warnings.push_back("module " + record.name + " asks for firmware " + wanted + ", which is not in " +
                                (fs::path(input.tree) / kFirmwareFolder).string() + "; the host has to have it");
    }
  }
  return {};
}

// What neither modules nor libraries tell is the machine's that packs.
Result<void> take_architecture(const PackInput& input, Manifest& manifest) {
  utsname names{};
  if (::uname(&names) != 0) return os_failure(errno, "cannot ask for the machine's architecture");
  const std::string machine = input.machine.empty() ? names.machine : input.machine;
  const Architecture* architecture = architecture_of_machine(machine);
  if (architecture == nullptr) {
    return make_error(Errc::unsupported, "extension images for " + machine + " are not handled");
  }
  manifest.architecture = architecture->name;
  return {};
}

// The kernels whose headers a builder's root file system has, complete enough for Kbuild to begin.
Result<void> find_kernels(const std::string& tree, Manifest& manifest) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(tree) / "usr/lib/modules", error)) {
    if (fs::is_symlink(fs::symlink_status(entry.path() / "build", error)) ||
        fs::is_directory(entry.path() / "build", error)) {
      manifest.kernels.push_back(entry.path().filename().string());
    }
  }
  std::sort(manifest.kernels.begin(), manifest.kernels.end());
  if (!manifest.kernels.empty()) return {};
  return make_error(Errc::invalid_input, tree + " holds no kernel headers: there is no usr/lib/modules/*/build");
}

}  // namespace

Result<std::optional<uint64_t>> source_date_epoch() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (epoch == nullptr) return std::optional<uint64_t>();
  const std::string_view text = epoch;
  uint64_t seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc() || end != text.data() + text.size()) {
    return make_error(Errc::invalid_input, "SOURCE_DATE_EPOCH is not a number of seconds");
  }
  return std::optional(seconds);
}

Result<PackResult> collect_image(const PackInput& input) {
  PackResult result;
  BuildRequest& request = result.request;
  request.output = input.output;
  Manifest& manifest = request.manifest;
  manifest.driver = input.manifest.driver;
  manifest.version = input.manifest.version;
  manifest.flavor = input.manifest.flavor;
  manifest.kind = input.kind;
  if (input.kind == Kind::modules) manifest.userland = input.manifest.userland;
  manifest.os_id = input.manifest.os_id;
  manifest.os_version_id = input.manifest.os_version_id;
  manifest.license = input.manifest.license;
  manifest.source_sha256 = input.source_digest;
  manifest.built_from = input.built_from;
  TRY(manifest.created, creation_time(input));
  if (manifest.is_loadable()) {
    TRY_VOID(add_modules(input, result));
  } else {
    TRY_VOID(take_architecture(input, manifest));
  }
  if (manifest.has_userland()) {
    TRY(manifest.firmware, firmware_of(input.tree));
  }
  switch (input.kind) {
    case Kind::modules:
      break;
    case Kind::complete:
      if (!input.machine.empty() && find_architecture(manifest.architecture)->machine != input.machine) {
        return make_error(Errc::invalid_input, "the modules are for " + manifest.architecture + ", the libraries in " +
                                                   input.tree + " for " + input.machine);
      }
      TRY_VOID(note_missing_firmware(input, result));
      request.trees.push_back({input.tree, ""});
      break;
    case Kind::userland:
      request.trees.push_back({input.tree, ""});
      break;
    case Kind::source:
      request.trees.push_back({input.tree, source_folder(manifest)});
      break;
    case Kind::builder:
      TRY_VOID(find_kernels(input.tree, manifest));
      request.trees.push_back({input.tree, ""});
      break;
  }
  TRY_VOID(add_definition(input, result));
  const std::string text = format_manifest(manifest);
  if (text.size() > kMaxManifestSize) {
    return make_error(Errc::invalid_input, "the manifest of " + std::to_string(manifest.modules.size()) +
                                               " modules would have " + human_size(text.size()) + ", at most " +
                                               human_size(kMaxManifestSize) +
                                               " fit into an image; make several images of fewer modules");
  }
  TRY_VOID(parse_manifest(text).with_context("the manifest that would result"));
  return result;
}

}  // namespace driverext
