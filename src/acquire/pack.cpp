#include "acquire/pack.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "crypto/digest.hpp"
#include "modules/load_order.hpp"
#include "modules/module_file.hpp"
#include "sys/dir.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxModule = size_t{1} << 30;

Result<std::vector<fs::path>> module_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".ko") files.push_back(it->path());
  }
  if (error) return os_failure(error.value(), "cannot list " + folder);
  if (files.empty()) return make_error(Errc::not_found, "there is no *.ko file in " + folder);
  std::sort(files.begin(), files.end());
  return files;
}

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
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    const std::string_view text = epoch;
    uint64_t seconds = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (code != std::errc() || end != text.data() + text.size()) {
      return make_error(Errc::invalid_input, "SOURCE_DATE_EPOCH is not a number of seconds");
    }
    return seconds;
  }
  uint64_t newest = 0;
  for (const std::string& folder : {input.modules, input.tree}) {
    if (folder.empty()) continue;
    TRY(const uint64_t time, newest_in(folder));
    newest = std::max(newest, time);
  }
  return newest;
}

// Adds one module to manifest and file list; all must be for the same kernel.
Result<void> add_module(const fs::path& file, BuildRequest& request) {
  TRY(ModuleInfo info, read_module_file(file.string()));
  Manifest& manifest = request.manifest;
  const Architecture* architecture = architecture_of_machine(info.machine);
  if (architecture == nullptr) return make_error(Errc::unsupported, file.string() + " is for " + info.machine);
  if (manifest.vermagic.empty()) {
    manifest.architecture = architecture->name;
    manifest.vermagic = info.vermagic;
    manifest.kernel_release = info.kernel_release();
    if (manifest.license.empty()) manifest.license = info.license;
  }
  if (info.vermagic != manifest.vermagic || architecture->name != manifest.architecture) {
    return make_error(Errc::invalid_input, file.string() + " is for \"" + info.vermagic +
                                               "\", the modules before it for \"" + manifest.vermagic +
                                               "\"; an image holds modules for one kernel");
  }
  if (info.build_id.empty()) {
    return make_error(Errc::invalid_input, file.string() +
                                               " has no build id, by which it is known once it is loaded; "
                                               "link it with --build-id (Kbuild does)");
  }
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + file.string());
  TRY(const std::string bytes, read_fd(fd.get(), kMaxModule, file.string()));
  ModuleRecord record;
  record.name = info.name;
  record.path =
      "usr/lib/modules/" + manifest.kernel_release + "/driverext/" + manifest.driver + "/" + file.filename().string();
  record.size = bytes.size();
  record.sha256 = to_hex(sha256(as_bytes(bytes)));
  record.build_id = std::move(info.build_id);
  record.depends = std::move(info.depends);
  request.files.push_back({file.string(), record.path, ""});
  manifest.modules.push_back(std::move(record));
  return {};
}

Result<void> add_modules(const std::string& folder, BuildRequest& request) {
  TRY(const std::vector<fs::path> files, module_files(folder));
  for (const fs::path& file : files) TRY_VOID(add_module(file, request));
  std::vector<ModuleNode> nodes;
  for (const ModuleRecord& record : request.manifest.modules) nodes.push_back({record.name, record.depends});
  TRY(const LoadOrder order, order_modules(nodes));  // a circle is better found here than at boot
  (void)order;
  return {};
}

// What modules cannot tell is the machine's that packs.
Result<void> take_own_architecture(Manifest& manifest) {
  utsname names{};
  if (::uname(&names) != 0) return os_failure(errno, "cannot ask for the machine's architecture");
  const Architecture* architecture = architecture_of_machine(names.machine);
  if (architecture == nullptr) {
    return make_error(Errc::unsupported, std::string("extension images for ") + names.machine + " are not handled");
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

Result<BuildRequest> collect_image(const PackInput& input) {
  BuildRequest request;
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
  TRY(manifest.created, creation_time(input));
  if (manifest.is_loadable()) {
    TRY_VOID(add_modules(input.modules, request));
  } else {
    TRY_VOID(take_own_architecture(manifest));
  }
  switch (input.kind) {
    case Kind::modules:
      break;
    case Kind::userland:
    case Kind::complete:
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
  TRY_VOID(parse_manifest(format_manifest(manifest)).with_context("the manifest that would result"));
  return request;
}

}  // namespace driverext
