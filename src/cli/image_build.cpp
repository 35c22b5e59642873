// driverext image build: modules, sources, libraries in; an extension image out.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <system_error>

#include "acquire/pack.hpp"
#include "base/text.hpp"
#include "cli/image_build_options.hpp"
#include "cli/progress.hpp"
#include "cli/verb.hpp"
#include "kbuild/dkms_build.hpp"
#include "kbuild/source_tree.hpp"
#include "sys/cancellation.hpp"
#include "sys/dir.hpp"
#include "sys/scratch_folder.hpp"
#include "sys/undo.hpp"
#include "sysext/output_file.hpp"
#include "userland/userland.hpp"

namespace driverext::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxOsRelease = 65536;

void warn(const std::string& line) { std::fprintf(stderr, "driverext: %s\n", printable(line).c_str()); }

// Sources of kernel modules, copied to beside the places that they get once the image is there.
class KeptSources {
 public:
  static Result<KeptSources> copy(const std::vector<ModuleSource>& sources, const std::string& folder, int cancel_fd) {
    std::error_code error;
    const bool is_new = fs::create_directory(folder, error);
    if (error) return os_failure(error.value(), "cannot make " + folder);
    Undo<Action> remove_folder([=] { ::rmdir(folder.c_str()); });
    if (!is_new) remove_folder.commit();
    TRY(Dir dir, Dir::open_root(folder));
    TRY(ScratchFolder scratch, ScratchFolder::beside(folder + "/sources"));
    KeptSources kept(std::move(remove_folder), std::move(dir), std::move(scratch));
    for (const ModuleSource& source : sources) {
      TRY(const auto there, kept.dir_.status(source.flavor));
      if (there) {
        return make_error(Errc::conflict,
                          kept.dir_.path_of(source.flavor) + " is there already; nothing is written over it");
      }
      TRY_VOID(copy_source(source.folder, kept.scratch_.path() + "/" + source.flavor, cancel_fd));
      kept.flavors_.push_back(source.flavor);
    }
    return kept;
  }

  Result<void> put_in_place() {
    const std::string scratch = fs::path(scratch_.path()).filename().string();
    for (const std::string& flavor : flavors_) TRY_VOID(dir_.rename(scratch + "/" + flavor, flavor));
    remove_folder_.commit();
    return {};
  }

 private:
  using Action = std::function<void()>;
  KeptSources(Undo<Action> remove_folder, Dir dir, ScratchFolder scratch)
      : remove_folder_(std::move(remove_folder)), dir_(std::move(dir)), scratch_(std::move(scratch)) {}
  Undo<Action> remove_folder_;  ///< one that was not there before; only an empty one goes
  Dir dir_;
  ScratchFolder scratch_;
  std::vector<std::string> flavors_;
};

class ImageBuild {
 public:
  ImageBuild(const ImageBuildOptions& options, int cancel_fd) : options_(options), cancel_fd_(cancel_fd) {}
  ImageBuild(const ImageBuild&) = delete;
  ImageBuild& operator=(const ImageBuild&) = delete;

  Result<int> run() {
    TRY_VOID(check_output(options_.output));
    std::optional<SigningKey> key;
    if (!options_.key.key.empty()) {
      TRY(key, load_signing_key(options_.key));
    }
    if (!options_.file_system.empty()) {
      TRY(BuildRequest request, finished_file_system());
      return build(request, key ? &*key : nullptr);
    }
    TRY_VOID(read_manifest());
    TRY_VOID(make_modules());
    TRY_VOID(make_user_part());
    TRY_VOID(say_for_which_os());
    TRY_VOID(identify_tree());
    if (input_.manifest.driver.empty()) return missing("which driver it is", "--driver=NAME");
    if (input_.manifest.version.empty()) return missing("the driver's version", "--driver-version=V");
    if (options_.belongs_to_userland) input_.manifest.userland = input_.manifest.version;
    input_.kind = *options_.kind;
    if (input_.tree.empty()) input_.tree = options_.tree;
    if (input_.modules.empty()) input_.modules = options_.modules;
    input_.definition = options_.definition;
    input_.output = options_.output;
    TRY(PackResult packed, collect_image(input_));
    const std::string& release = packed.request.manifest.kernel_release;
    if (!options_.kernel.empty() && release != options_.kernel) {
      return make_error(Errc::invalid_input, "the modules are for kernel " + release + ", not for " + options_.kernel);
    }
    for (const std::string& line : packed.warnings) warn(line);
    return build(packed.request, key ? &*key : nullptr);
  }

 private:
  static Error missing(const char* what, const char* option) {
    return make_error(Errc::invalid_input, std::string("nothing says ") + what + "; say it with " + option);
  }

  // What the command line states comes before what a file says; what was built says the rest.
  Result<void> read_manifest() {
    if (!options_.manifest.empty()) {
      TRY(const std::string text, read_argument_file(options_.manifest, kMaxManifestSize));
      TRY(input_.manifest, parse_manifest_input(text).with_context(options_.manifest));
    }
    const auto state = [](std::string& member, const std::string& stated) {
      if (!stated.empty()) member = stated;
    };
    state(input_.manifest.driver, options_.stated.driver);
    state(input_.manifest.version, options_.stated.version);
    state(input_.manifest.flavor, options_.stated.flavor);
    state(input_.manifest.license, options_.stated.license);
    if (!options_.stated.os_id.empty()) {
      input_.manifest.os_id = options_.stated.os_id;
      input_.manifest.os_version_id = options_.stated.os_version_id;
    }
    if (input_.manifest.driver.empty() && !options_.definition.empty()) {
      input_.manifest.driver = fs::path(options_.definition).stem().string();
    }
    return {};
  }

  // Beside the output: there is room for what it is made of.
  Result<std::string> scratch_folder(const std::string& name) {
    if (!scratch_) {
      TRY(scratch_, ScratchFolder::beside(fs::absolute(options_.output).string()));
    }
    std::error_code error;
    std::string folder = scratch_->path() + "/" + name;
    if (!fs::create_directory(folder, error)) return os_failure(error.value(), "cannot make " + folder);
    return folder;
  }

  Result<void> make_modules() {
    if (options_.dkms.empty()) return {};
    TRY(const Builder builder, Builder::from_argument(options_.builder));
    DkmsRequest request;
    request.source = options_.dkms;
    request.kernel_release = options_.kernel;
    request.builder = builder;
    TRY(request.work, scratch_folder("dkms"));
    TRY(request.source_date_epoch, source_date_epoch());
    request.cancel_fd = cancel_fd_;
    request.progress = [&](const std::string& what) { progress_.show("building: " + what, 0, 0); };
    const std::unique_ptr<Programs> programs = make_real_programs();
    Result<DkmsBuilt> built = build_dkms(*programs, request);
    if (!built) return keep_log(request.work + kDkmsLog, std::move(built).error());
    input_.modules = built->modules;
    input_.source_digest = built->source_digest;
    const auto learn = [](std::string& member, const std::string& told) {
      if (member.empty()) member = told;
    };
    learn(input_.manifest.driver, built->package_name);
    learn(input_.manifest.version, built->package_version);
    if (input_.manifest.os_id.empty()) {
      TRY(const Dir root, builder.root());
      TRY(const auto os_release, root.read_if_there("etc/os-release", kMaxOsRelease));
      input_.manifest.os_id = env_value(os_release.value_or(""), "ID");
      input_.manifest.os_version_id = env_value(os_release.value_or(""), "VERSION_ID");
    }
    return {};
  }

  // What the compiler said outlives the folder that it was said in.
  Error keep_log(const std::string& log, Error error) const {
    if (error.code == Errc::transient) return error;  // it was interrupted: nothing went wrong
    std::error_code failed;
    const std::string kept = options_.output + ".log";
    if (fs::copy_file(log, kept, fs::copy_options::overwrite_existing, failed) && !failed) {
      error.what += "; the whole log is in " + kept;
    }
    return error;
  }

  Result<void> make_user_part() {
    if (options_.userland.empty()) return {};
    UserlandRequest request;
    request.input = options_.userland;
    request.driver = input_.manifest.driver;
    request.version = input_.manifest.version;
    request.wanted = options_.wanted;
    request.compat32 = options_.compat32;
    TRY(request.scratch, scratch_folder("userland"));
    request.work.cancel_fd = cancel_fd_;
    request.work.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
      progress_.show(stage, done, total);
    };
    if (request.driver.empty()) return missing("which driver it is", "--driver=NAME");
    TRY(const UserlandTree made, prepare_userland(request));
    input_.tree = made.tree;
    input_.machine = made.machine;
    for (const LeftOut& left : made.left_out) {
      warn("left out: " + std::to_string(left.paths.size()) + " (" + left.paths.front() +
           (left.paths.size() > 1 ? ", ..." : "") + "): " + left.why);
    }
    TRY_VOID(keep_module_sources(made.module_sources));
    if (input_.manifest.version.empty()) input_.manifest.version = made.version;
    return {};
  }

  // Of an archive they would go with the scratch folder.
  Result<void> keep_module_sources(const std::vector<ModuleSource>& sources) {
    if (options_.module_sources.empty()) {
      for (const ModuleSource& source : sources) {
        warn("it also holds the sources of kernel modules, flavor " + source.flavor +
             "; --module-sources=DIR keeps them");
      }
      return {};
    }
    if (sources.empty()) return make_error(Errc::not_found, options_.userland + " holds no sources of kernel modules");
    TRY(KeptSources kept, KeptSources::copy(sources, options_.module_sources, cancel_fd_));
    kept_sources_.emplace(std::move(kept));
    return {};
  }

  // What is compiled of a source image, on a node, tells of it by this.
  Result<void> identify_tree() {
    if (*options_.kind != Kind::source) return {};
    TRY(const SourceIdentity source, identify_source(options_.tree, cancel_fd_));
    input_.source_digest = source.digest;
    return {};
  }

  Result<void> say_for_which_os() {
    if (!input_.manifest.os_id.empty()) return {};
    if (*options_.kind != Kind::userland) return missing("which OS it is for", "--os=ID:VERSION");
    input_.manifest.os_id = kAnyOs;
    return {};
  }

  Result<BuildRequest> finished_file_system() {
    BuildRequest request;
    request.file_system = options_.file_system;
    TRY(const FinishedFileSystem finished, read_file_system(options_.file_system, cancel_fd_));
    TRY(request.manifest, parse_manifest(finished.manifest_text).with_context(options_.file_system));
    request.output = options_.output;
    return request;
  }

  Result<int> build(BuildRequest& request, const SigningKey* key) {
    request.key = key;
    request.zstd_level = options_.level.value_or(request.zstd_level);
    request.type = options_.type;
    request.cancel_fd = cancel_fd_;
    request.progress = [&](const BuildProgress& at) { progress_.show(at.stage, at.done, at.total); };
    TRY(const BuiltImage built, build_image(request));
    progress_.end();
    if (kept_sources_) TRY_VOID(kept_sources_->put_in_place());
    const Manifest& manifest = request.manifest;
    const std::string kernel = manifest.kernel_release.empty() ? "" : " for " + manifest.kernel_release;
    std::printf("%s  %s %s (%s)%s, %s%s\n", to_hex(built.root_hash).c_str(), manifest.driver.c_str(),
                manifest.version.c_str(), std::string(kind_name(manifest.kind)).c_str(), kernel.c_str(),
                human_size(built.size).c_str(), key != nullptr ? "" : ", unsigned");
    return 0;
  }

  const ImageBuildOptions& options_;
  int cancel_fd_;
  TerminalProgress progress_;
  PackInput input_;
  std::optional<ScratchFolder> scratch_;
  std::optional<KeptSources> kept_sources_;
};

Result<int> build(const ImageBuildOptions& options) {
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  return ImageBuild(options, cancellation.fd()).run();
}

}  // namespace

int image_build(int argc, char** argv) {
  const auto parsed = parse_image_build(argc, argv);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  const Result<int> code = build(std::get<ImageBuildOptions>(parsed));
  return code ? *code : fail(code.error());
}

}  // namespace driverext::cli
