#include "userland/userland.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/text.hpp"
#include "sys/dir.hpp"
#include "sys/undo.hpp"
#include "userland/file_types.hpp"
#include "userland/installer_manifest.hpp"
#include "userland/libraries.hpp"
#include "userland/place.hpp"
#include "userland/unpack.hpp"

namespace driverext {
namespace {

constexpr std::string_view kManifestName = ".manifest";

// The folder that files are taken from.
struct Input {
  Dir folder;
  TakenFrom taken_from = TakenFrom::elsewhere;
  std::string version;  ///< as its archive states it; mostly empty
  Checksum checksum = Checksum::none;
};

Result<Input> unpack(const UserlandRequest& request, int fd, uint64_t size, const Dir& scratch) {
  Bytes head(std::min<uint64_t>(size, kMaxSelfExtractingHead));
  TRY_VOID(read_exactly(fd, head, 0, request.input));
  TRY(const SelfExtracting archive, parse_self_extracting(as_text(head), size).with_context(request.input));
  TRY(const Checksum checksum, check_integrity(fd, archive, request.input, request.work));
  TRY_VOID(scratch.make_dirs(kScratchPackage, 0755));
  TRY(Dir package, scratch.open_dir(kScratchPackage));
  TRY_VOID(unpack_tar(fd, request.input, archive.payload, package, request.work));
  return Input{std::move(package), TakenFrom::scratch, archive.version, checksum};
}

Result<Input> open_input(const UserlandRequest& request, const Dir& scratch) {
  const UniqueFd fd(::open(request.input.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return os_failure(errno, "cannot open " + request.input);
  if (S_ISREG(info.st_mode)) return unpack(request, fd.get(), static_cast<uint64_t>(info.st_size), scratch);
  if (!S_ISDIR(info.st_mode)) {
    return make_error(Errc::invalid_input, request.input + " is neither a folder nor a self-extracting archive");
  }
  TRY(Dir folder, Dir::open_root(request.input));
  return Input{std::move(folder), TakenFrom::elsewhere, "", Checksum::none};
}

Result<std::string> agreed_version(const std::string& wanted, const std::string& own) {
  if (wanted.empty() && own.empty()) {
    return make_error(Errc::invalid_input, "nothing there says which version of the driver it is; state the version");
  }
  if (!wanted.empty() && !own.empty() && wanted != own) {
    return make_error(Errc::invalid_input, "the package is version " + own + ", not " + wanted +
                                               "; state that, or name the package of the version");
  }
  const std::string& version = own.empty() ? wanted : own;
  TRY_VOID(check_name("version", version));
  return version;
}

std::vector<ModuleSource> module_sources(const InstallerManifest& manifest, const Dir& package) {
  std::set<std::string> folders;
  for (const PackagedFile& file : manifest.files) {
    const FileTypeRule* rule = find_file_type(file);
    const size_t slash = file.path.find('/');
    if (rule != nullptr && rule->is_module_source && slash != std::string::npos) {
      folders.insert(file.path.substr(0, slash));
    }
  }
  std::vector<ModuleSource> sources;
  sources.reserve(folders.size());
  for (const std::string& folder : folders) {
    sources.push_back({package.path_of(folder), folder.ends_with("-open") ? "open" : "proprietary"});
  }
  return sources;
}

// Which libraries a finished tree has, as a layout that takes them from where they are.
Result<std::string> machine_of_tree(const Dir& tree) {
  UserlandLayout libraries;
  TRY(const std::vector<std::string> names, tree.list(kLibraries));
  for (const std::string& name : names) {
    TRY(const std::optional<struct stat> status, tree.status(std::string(kLibraries) + "/" + name));
    if (!status || !S_ISREG(status->st_mode)) continue;
    const std::string path = std::string(kLibraries) + "/" + name;
    libraries.files.push_back({path, path, 0644});
  }
  return add_library_names(tree, libraries);
}

Result<UserlandTree> take_usr(const UserlandRequest& request, const Input& input) {
  UserlandTree made;
  TRY(made.version, agreed_version(request.version, input.version));
  made.tree = input.folder.path_of(".");
  TRY(made.machine, machine_of_tree(input.folder));
  return made;
}

Result<UserlandTree> lay_out(const UserlandRequest& request, const Input& input, const Dir& scratch) {
  UserlandTree made;
  UserlandLayout layout;
  TRY(const std::optional<std::string> text, input.folder.read_if_there(kManifestName, kMaxInstallerManifest));
  if (text) {
    TRY(const InstallerManifest manifest,
        parse_installer_manifest(*text).with_context(input.folder.path_of(kManifestName)));
    TRY(made.version, agreed_version(request.version, manifest.version));
    TRY(layout, lay_out_package(manifest, {request.driver, made.version, request.wanted, request.compat32}));
    made.module_sources = module_sources(manifest, input.folder);
  } else {
    TRY(made.version, agreed_version(request.version, input.version));
    TRY(layout, lay_out_folder(input.folder, request.compat32));
  }
  TRY(made.machine, add_library_names(input.folder, layout));
  TRY_VOID(scratch.make_dirs(kScratchTree, 0755));
  TRY_VOID(place_layout({scratch, input.folder, input.taken_from}, layout, request.work));
  made.tree = scratch.path_of(kScratchTree);
  made.left_out = std::move(layout.left_out);
  return made;
}

Result<void> refuse_remains(const Dir& scratch) {
  for (const std::string_view name : {kScratchPackage, kScratchTree}) {
    TRY(const std::optional<struct stat> status, scratch.status(name));
    if (status) return make_error(Errc::conflict, scratch.path_of(name) + " is there already; remove it");
  }
  return {};
}

}  // namespace

Result<UserlandTree> prepare_userland(const UserlandRequest& request) {
  TRY_VOID(check_name("driver", request.driver));
  TRY(const Dir scratch, Dir::open_root(request.scratch));
  TRY_VOID(refuse_remains(scratch));
  Undo remove_remains([&] {
    std::error_code ignored;
    for (const std::string_view name : {kScratchPackage, kScratchTree}) {
      std::filesystem::remove_all(scratch.path_of(name), ignored);
    }
  });
  TRY(const Input input, open_input(request, scratch));
  TRY(const std::optional<struct stat> manifest, input.folder.status(kManifestName));
  TRY(const std::optional<struct stat> usr, input.folder.status("usr"));
  const bool as_it_is = !manifest && usr && S_ISDIR(usr->st_mode);
  TRY(UserlandTree made, as_it_is ? take_usr(request, input) : lay_out(request, input, scratch));
  made.checksum = input.checksum;
  TRY(const TreeSize size, check_userland_tree(made.tree));
  made.files = size.files;
  made.bytes = size.bytes;
  remove_remains.commit();
  return made;
}

}  // namespace driverext
