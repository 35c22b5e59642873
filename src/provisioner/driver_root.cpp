#include "provisioner/driver_root.hpp"

#include <algorithm>

#include "sysext/foreign_image.hpp"
#include "sysext/manifest.hpp"

namespace driverext {
namespace {

constexpr const char* kAside = "run/driverext/roots";
// What a program of the driver asks the kernel through.
constexpr const char* kFromHost[] = {"dev", "proc", "sys"};
constexpr const char* kLinked[] = {"bin", "sbin", "lib", "lib32", "lib64"};
constexpr const char* kFolders[] = {"etc", "run", "tmp", "var", "var/log"};
// Every place where distributions keep libraries; ldconfig passes over those that are not there.
constexpr const char* kLibraryFolders =
    "/lib64\n/usr/lib64\n/usr/lib/x86_64-linux-gnu\n/usr/lib/aarch64-linux-gnu\n/usr/lib\n";
constexpr unsigned kTimeoutSec = 60;

// What runs that were killed left aside.
Result<void> clear_aside(Kernel& kernel, const Dir& root) {
  TRY(const std::vector<std::string> names, root.list(kAside));
  for (const std::string& name : names) {
    const std::string aside = std::string(kAside) + "/" + name;
    TRY(auto mounted, find_driver_root(kernel, root, aside));
    while (mounted) {
      TRY_VOID(kernel.detach(root.path_of(aside)));
      TRY(mounted, find_driver_root(kernel, root, aside));
    }
    (void)root.remove_dir(aside);  // not empty: not ours
  }
  return {};
}

}  // namespace

Result<std::optional<MountPoint>> find_driver_root(Kernel& kernel, const Dir& root, const std::string& place) {
  TRY(std::optional<MountPoint> mounted, kernel.find_mount(root.path_of(place)));
  if (mounted && (mounted->type != "tmpfs" || mounted->source != kRootSource)) {
    return make_error(
        Errc::conflict, Reason::mount_conflict,
        "something else is mounted at " + root.path_of(place) + ": " + mounted->source + " (" + mounted->type + ")");
  }
  return mounted;
}

Result<void> remove_driver_root(Kernel& kernel, const Dir& root, const std::string& place) {
  TRY(auto mounted, find_driver_root(kernel, root, place));
  while (mounted) {
    TRY_VOID(kernel.detach(root.path_of(place)));
    TRY(mounted, find_driver_root(kernel, root, place));
  }
  return clear_aside(kernel, root);
}

DriverRoot::DriverRoot(const Dir& root, Kernel& kernel, Programs& programs, std::string image, const std::string& name,
                       std::string place)
    : root_(root),
      kernel_(kernel),
      programs_(programs),
      image_(std::move(image)),
      aside_(std::string(kAside) + "/" + name),
      place_(std::move(place)) {}

Result<Placing> DriverRoot::build_and_place() {
  TRY_VOID(build());
  return put_into_place();
}

Result<void> DriverRoot::undo() {
  Result<void> result;
  const auto attempt = [&](Result<void> outcome) {
    if (!outcome && result) result = std::move(outcome);
  };
  if (is_aside_) attempt(kernel_.detach(path(aside_)));
  is_aside_ = false;
  if (placed_ && placed_->before) {
    Result<PlacedTree> put_back = kernel_.place_tree(*placed_->before, path(place_));
    if (!put_back) attempt(std::move(put_back).error());
  } else if (placed_) {
    attempt(kernel_.detach(path(place_)));
  }
  placed_.reset();
  for (; !folders_.empty(); folders_.pop_back()) attempt(root_.remove_dir(folders_.back()));
  return result;
}

Result<void> DriverRoot::build() {
  TRY_VOID(clear_aside(kernel_, root_));
  TRY_VOID(make_folder(aside_));
  // Private: while it is built, no other mount namespace is told of what is mounted in it.
  TRY_VOID(mount({kRootSource, path(aside_), "tmpfs", "mode=0755,nosuid,private"}));
  TRY_VOID(mount_parts());
  TRY_VOID(root_.write_atomic(aside_ + "/etc/ld.so.conf", kLibraryFolders, 0644));
  // -X: nothing but the cache is written. By the host's ldconfig, which chroots itself.
  TRY(const std::string words,
      programs_.run({.argv = {"ldconfig", "-X", "-r", path(aside_)}, .timeout_sec = kTimeoutSec}));
  (void)words;
  return {};
}

Result<void> DriverRoot::mount_parts() {
  TRY_VOID(root_.make_dirs(aside_ + "/usr", 0755));
  TRY_VOID(mount({path(image_ + "/usr"), path(aside_ + "/usr"), "", "bind,private"}));
  for (const char* name : kLinked) {
    for (const std::string& folder : {std::string(kRootOnlyFolder), std::string("usr")}) {
      TRY(const auto there, root_.status(image_ + "/" + folder + "/" + name));
      if (!there) continue;
      TRY_VOID(root_.make_link(folder + "/" + name, aside_ + "/" + name));
      break;
    }
  }
  for (const char* name : kFromHost) {
    TRY_VOID(root_.make_dirs(aside_ + "/" + name, 0755));
    // A slave: what the host mounts there later is seen here too, and taking this root away unmounts nothing of it.
    TRY_VOID(mount({path(name), path(aside_ + "/" + name), "", "bind,slave"}));
  }
  for (const char* name : kFolders) TRY_VOID(root_.make_dirs(aside_ + "/" + name, 0755));
  return root_.make_link("../run", aside_ + "/var/run");
}

// As one tree, which nothing is left aside of. The move comes last: what fails before it is seen by nobody.
Result<Placing> DriverRoot::put_into_place() {
  TRY(const std::unique_ptr<MountTree> tree, kernel_.copy_tree(path(aside_)));
  TRY_VOID(kernel_.detach(path(aside_)));
  is_aside_ = false;
  TRY_VOID(root_.remove_dir(aside_));
  folders_.erase(std::remove(folders_.begin(), folders_.end(), aside_), folders_.end());
  TRY_VOID(make_folder(place_));
  // A run that was killed between putting its root beneath and taking the one on top away left both: each is whole.
  TRY(auto mounted, find_driver_root(kernel_, root_, place_));
  while (mounted && mounted->stacked > 1) {
    TRY_VOID(kernel_.detach(path(place_)));
    TRY(mounted, find_driver_root(kernel_, root_, place_));
  }
  TRY(placed_, kernel_.place_tree(*tree, path(place_)));
  return placed_->how;
}

Result<void> DriverRoot::mount(const MountRequest& request) {
  TRY_VOID(kernel_.mount(request));
  is_aside_ = true;
  return {};
}

// Remembers what it made itself, of the last two components.
Result<void> DriverRoot::make_folder(const std::string& name) {
  for (const std::string& folder : {name.substr(0, name.rfind('/')), name}) {
    TRY(const auto there, root_.status(folder));
    if (there) continue;
    TRY_VOID(root_.make_dirs(folder, 0755));
    folders_.push_back(folder);
  }
  return {};
}

}  // namespace driverext
