// root: the driver root, a directory that looks like a root file system with the driver's user part and the host's
// devices. Built aside and put into place by one mount call, so that nobody sees half of it.
#include <algorithm>

#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

// What a program of the driver asks the kernel through.
constexpr const char* kFromHost[] = {"dev", "proc", "sys"};
constexpr const char* kLinked[] = {"bin", "sbin", "lib", "lib32", "lib64"};
// Every place where distributions keep libraries; ldconfig passes over those that are not there.
constexpr const char* kLibraryFolders =
    "/lib64\n/usr/lib64\n/usr/lib/x86_64-linux-gnu\n/usr/lib/aarch64-linux-gnu\n/usr/lib\n";
constexpr unsigned kTimeoutSec = 60;

class RootStep final : public Step {
 public:
  explicit RootStep(const StepContext& context)
      : context_(context),
        place_(context.definition.root->path),
        aside_("run/driverext/roots/" + context.userland->identity().root_hash),
        image_(mount_name(context.userland->identity())) {}

  Result<Probe> probe() override {
    TRY(const auto mounted, context_.kernel.find_mount(path(place_)));
    if (!mounted) return Probe::needed;
    TRY(const auto manifest, context_.root.read_if_there(place_ + "/" + std::string(kManifestPath), kMaxManifestSize));
    TRY(const std::string signed_text, context_.userland->manifest_text());
    if (manifest == signed_text) return Probe::satisfied;
    return make_error(Errc::conflict, Reason::mount_conflict, "something else is mounted at " + path(place_));
  }

  Result<void> apply() override {
    Result<void> built = build();
    if (!built && !built.error().reason) built.error().reason = Reason::root_failed;
    return built;
  }

  Result<void> undo() override {
    Result<void> result;
    const auto attempt = [&](Result<void> outcome) {
      if (!outcome && result) result = std::move(outcome);
    };
    for (; !mounted_.empty(); mounted_.pop_back()) attempt(context_.kernel.unmount(mounted_.back()));
    for (; !folders_.empty(); folders_.pop_back()) attempt(context_.root.remove_dir(folders_.back()));
    return result;
  }

 private:
  [[nodiscard]] std::string path(const std::string& name) const { return context_.root.path_of(name); }

  // A provision that was killed may have left its own here.
  Result<void> clear_aside() {
    std::vector<std::string> places = {aside_ + "/usr"};
    for (const char* name : kFromHost) places.push_back(aside_ + "/" + name);
    places.push_back(aside_);
    for (const std::string& place : places) {
      TRY(const auto mounted, context_.kernel.find_mount(path(place)));
      if (mounted) TRY_VOID(context_.kernel.unmount(path(place)));
    }
    return {};
  }

  Result<void> build() {
    TRY_VOID(clear_aside());
    TRY_VOID(make_folder(aside_));
    // Private: what is unmounted here later must not go away where it was copied to.
    TRY_VOID(mount({"driverext", path(aside_), "tmpfs", "mode=0755,nosuid,private"}));
    TRY_VOID(mount_parts());
    TRY_VOID(context_.root.make_dirs(aside_ + "/etc", 0755));
    TRY_VOID(context_.root.write_atomic(aside_ + "/etc/ld.so.conf", kLibraryFolders, 0644));
    // -X: nothing but the cache is written. By the host's ldconfig, which chroots itself.
    TRY(const std::string words,
        context_.programs.run({.argv = {"ldconfig", "-X", "-r", path(aside_)}, .timeout_sec = kTimeoutSec}));
    (void)words;
    TRY_VOID(make_folder(place_));
    return put_into_place();
  }

  Result<void> mount_parts() {
    TRY_VOID(context_.root.make_dirs(aside_ + "/usr", 0755));
    TRY_VOID(mount({path(image_ + "/usr"), path(aside_ + "/usr"), "", "bind"}));
    for (const char* name : kLinked) {
      for (const std::string& folder : {std::string(kRootOnlyFolder), std::string("usr")}) {
        TRY(const auto there, context_.root.status(image_ + "/" + folder + "/" + name));
        if (!there) continue;
        TRY_VOID(context_.root.make_link(folder + "/" + name, aside_ + "/" + name));
        break;
      }
    }
    for (const char* name : kFromHost) {
      TRY_VOID(context_.root.make_dirs(aside_ + "/" + name, 0755));
      TRY_VOID(mount({path(name), path(aside_ + "/" + name), "", "bind"}));
    }
    for (const char* name : {"run", "tmp", "var"}) TRY_VOID(context_.root.make_dirs(aside_ + "/" + name, 0755));
    return {};
  }

  // All of it appears at once; then what it was built from goes.
  Result<void> put_into_place() {
    TRY_VOID(context_.kernel.mount({path(aside_), path(place_), "", "rbind"}));
    std::vector<std::string> now_in_place;
    now_in_place.reserve(mounted_.size());
    for (const std::string& mounted : mounted_) {
      now_in_place.push_back(path(place_) + mounted.substr(path(aside_).size()));
    }
    std::swap(mounted_, now_in_place);
    while (!now_in_place.empty()) {
      Result<void> unmounted = context_.kernel.unmount(now_in_place.back());
      if (!unmounted) {
        mounted_.insert(mounted_.end(), now_in_place.begin(), now_in_place.end());  // for undo
        return unmounted;
      }
      now_in_place.pop_back();
    }
    TRY_VOID(context_.root.remove_dir(aside_));
    folders_.erase(std::remove(folders_.begin(), folders_.end(), aside_), folders_.end());
    return {};
  }

  Result<void> mount(const MountRequest& request) {
    TRY_VOID(context_.kernel.mount(request));
    mounted_.push_back(request.target);
    return {};
  }

  // Remembers what it made itself, of the last two components.
  Result<void> make_folder(const std::string& name) {
    for (const std::string& folder : {name.substr(0, name.rfind('/')), name}) {
      TRY(const auto there, context_.root.status(folder));
      if (there) continue;
      TRY_VOID(context_.root.make_dirs(folder, 0755));
      folders_.push_back(folder);
    }
    return {};
  }

  const StepContext& context_;
  std::string place_;
  std::string aside_;
  std::string image_;
  std::vector<std::string> mounted_;  // absolute, by this step, in order
  std::vector<std::string> folders_;  // made by this step, in order
};

}  // namespace

std::unique_ptr<Step> make_root_step(const StepContext& context) { return std::make_unique<RootStep>(context); }

}  // namespace driverext
