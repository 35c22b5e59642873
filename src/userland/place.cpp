#include "userland/place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWindow = size_t{4} << 20;

class Placer {
 public:
  Placer(const Placing& placing, Dir tree, UniqueFd top, const UserlandWork& work)
      : placing_(placing), tree_(std::move(tree)), top_(std::move(top)), work_(work) {}

  Result<void> run(const UserlandLayout& layout) {
    std::map<std::string, size_t> uses;
    for (const PlacedFile& file : layout.files) ++uses[file.source];
    TRY_VOID(measure(layout));
    for (const PlacedFile& file : layout.files) {
      const bool last = --uses[file.source] == 0;
      TRY_VOID(make_parents(file.target));
      TRY_VOID(placing_.taken_from == TakenFrom::scratch && last ? move(file) : copy(file));
    }
    // Links come last: until then no path can lead through one.
    for (const PlacedLink& link : layout.links) {
      TRY_VOID(make_parents(link.path));
      if (::symlinkat(link.text.c_str(), top_.get(), link.path.c_str()) != 0) {
        return os_failure(errno, "cannot make the link " + link.path);
      }
    }
    return {};
  }

 private:
  Result<UniqueFd> open_source(const PlacedFile& file) const {
    Result<UniqueFd> fd = placing_.from.open_no_follow(file.source, O_RDONLY | O_NONBLOCK);
    if (!fd && fd.error().code == Errc::not_found) {
      return make_error(Errc::invalid_input, "the package lacks " + file.source +
                                                 ", which its manifest names: it was not unpacked as a whole");
    }
    return fd;
  }

  Result<void> measure(const UserlandLayout& layout) {
    for (const PlacedFile& file : layout.files) {
      TRY(const UniqueFd fd, open_source(file));
      struct stat info {};
      if (::fstat(fd.get(), &info) != 0) return os_failure(errno, "cannot look at " + file.source);
      if (!S_ISREG(info.st_mode)) return make_error(Errc::invalid_input, file.source + " is not a file");
      total_ += static_cast<uint64_t>(info.st_size);
    }
    return {};
  }

  Result<void> make_parents(const std::string& path) {
    std::string folder = path.substr(0, path.rfind('/'));
    if (folders_.contains(folder)) return {};
    TRY_VOID(tree_.make_dirs(folder, 0755));
    folders_.insert(std::move(folder));
    return {};
  }

  Result<void> move(const PlacedFile& file) {
    TRY_VOID(placing_.scratch.rename(std::string(kScratchPackage) + "/" + file.source,
                                     std::string(kScratchTree) + "/" + file.target));
    if (::fchmodat(top_.get(), file.target.c_str(), file.mode, 0) != 0) {
      return os_failure(errno, "cannot set the mode of " + file.target);
    }
    return {};
  }

  Result<void> copy(const PlacedFile& file) {
    TRY(const UniqueFd from, open_source(file));
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) return os_failure(errno, "cannot look at " + file.source);
    const UniqueFd to(
        ::openat(top_.get(), file.target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!to) return os_failure(errno, "cannot create " + file.target);
    Bytes buffer(kWindow);
    for (uint64_t left = static_cast<uint64_t>(info.st_size), offset = 0; left > 0;) {
      TRY_VOID(go_on(work_, "collecting", done_, total_));
      const auto window = std::span(buffer).first(std::min<uint64_t>(left, buffer.size()));
      TRY_VOID(read_exactly(from.get(), window, offset, file.source));
      TRY_VOID(write_exactly(to.get(), window, offset, file.target));
      offset += window.size();
      left -= window.size();
      done_ += window.size();
    }
    const timespec times[2] = {info.st_mtim, info.st_mtim};
    if (::fchmod(to.get(), file.mode) != 0 || ::futimens(to.get(), times) != 0) {
      return os_failure(errno, "cannot set the mode and time of " + file.target);
    }
    return {};
  }

  const Placing& placing_;
  Dir tree_;
  UniqueFd top_;
  const UserlandWork& work_;
  std::set<std::string> folders_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

Error unfit(const fs::path& path, std::string_view why) {
  return make_error(Errc::invalid_input, printable(path.string()) + " " + std::string(why));
}

}  // namespace

Result<void> place_layout(const Placing& placing, const UserlandLayout& layout, const UserlandWork& work) {
  TRY(Dir tree, placing.scratch.open_dir(kScratchTree));
  TRY(UniqueFd top, tree.open_file(".", O_RDONLY | O_DIRECTORY));
  return Placer(placing, std::move(tree), std::move(top), work).run(layout);
}

Result<TreeSize> check_userland_tree(const std::string& tree) {
  std::error_code error;
  TreeSize size;
  for (const fs::directory_entry& entry : fs::directory_iterator(tree, error)) {
    if (entry.path().filename() != "usr" || !entry.is_directory(error) || entry.is_symlink(error)) {
      return unfit(entry.path(), "has no place in an extension, which holds a folder usr/ only; take it out");
    }
  }
  if (!error && fs::exists(fs::symlink_status(fs::path(tree) / "usr/lib/modules", error))) {
    return unfit(fs::path(tree) / "usr/lib/modules",
                 "holds kernel modules, which have images of their own; take it out");
  }
  error.clear();
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (fs::is_symlink(status) || fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status)) return unfit(it->path(), "is neither file, folder nor link");
    if ((status.permissions() & (fs::perms::set_uid | fs::perms::set_gid)) != fs::perms::none) {
      return unfit(it->path(), "would run with rights of its own (setuid); take the bit off");
    }
    ++size.files;
    size.bytes += it->file_size(error);
  }
  if (error) return os_failure(error.value(), "cannot look through " + tree);
  if (size.files == 0) return make_error(Errc::invalid_input, tree + " holds no file");
  return size;
}

}  // namespace driverext
