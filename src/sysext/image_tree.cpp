#include "sysext/image_tree.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "base/text.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;
using Type = TreeEntry::Type;

constexpr std::string_view kModules = "usr/lib/modules/";

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Result<TreeEntry> entry_of(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return os_failure(errno, "cannot look at " + path.string());
  TreeEntry entry;
  switch (info.st_mode & S_IFMT) {
    case S_IFDIR:
      return entry;
    case S_IFREG:
      entry.type = Type::file;
      entry.source = path.string();
      entry.size = static_cast<uint64_t>(info.st_size);
      entry.mode = info.st_mode & 07777;
      return entry;
    case S_IFLNK: {
      entry.type = Type::link;
      std::error_code error;
      entry.text = fs::read_symlink(path, error).string();
      if (error) return os_failure(error.value(), "cannot read the link " + path.string());
      return entry;
    }
    default:
      return make_error(Errc::invalid_input, path.string() + " is neither file, directory nor symbolic link");
  }
}

Result<void> add_parents(TreeEntries& entries, std::string_view path) {
  for (std::string_view parent = parent_of(path); !parent.empty(); parent = parent_of(parent)) {
    const auto [at, added] = entries.try_emplace(std::string(parent));
    if (at->second.type != Type::directory) {
      return make_error(Errc::invalid_input, std::string(path) + " cannot be put into the image: " +
                                                 std::string(parent) + " is not a directory there");
    }
    if (!added) break;
  }
  return {};
}

Result<void> add(TreeEntries& entries, const std::string& path, TreeEntry entry) {
  TRY_VOID(add_parents(entries, path));
  const bool is_directory = entry.type == Type::directory;
  const auto [at, added] = entries.try_emplace(path, std::move(entry));
  if (added || (is_directory && at->second.type == Type::directory)) return {};
  return make_error(Errc::invalid_input, "there are two of " + path + " for the image");
}

// Takes the place of what a tree may have there: it is the builder's to say.
Result<void> put_text(TreeEntries& entries, const std::string& path, std::string text) {
  TRY_VOID(add_parents(entries, path));
  TreeEntry& entry = entries.try_emplace(path, TreeEntry{.type = Type::file}).first->second;
  if (entry.type == Type::directory) return make_error(Errc::invalid_input, path + " is a directory");
  entry = {.type = Type::file, .text = std::move(text)};
  entry.size = entry.text.size();
  return {};
}

// As many links as the kernel follows on one way.
constexpr int kMaxLinks = 40;

// Finds out where links lead once the extension is merged. What is not in the tree is the host's, and taken for a plain
// directory.
class LinkWalk {
 public:
  enum class Root { host, driver };
  LinkWalk(const TreeEntries& entries, Root root) : entries_(entries), root_(root) {}

  // Whether the link at `path` in that root leads out of it, or of the host's /usr, or nowhere since it goes in
  // circles.
  bool leads_out(std::string_view path, std::string_view says) {
    if (!parent_of(path).empty()) place_ = split(parent_of(path), '/');
    follow(says);
    while (!ahead_.empty()) {
      const std::string part = std::move(ahead_.back());
      ahead_.pop_back();
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (place_.empty()) return true;
        place_.pop_back();
        continue;
      }
      place_.push_back(part);
      if (root_ == Root::host && place_.front() != "usr") return true;
      const TreeEntry* entry = find();
      if (entry == nullptr || entry->type != Type::link) continue;
      if (++links_ >= kMaxLinks) return true;
      place_.pop_back();
      follow(entry->text);
    }
    return root_ == Root::host && place_.empty();
  }

 private:
  void follow(std::string_view says) {
    if (says.starts_with('/')) place_.clear();
    std::vector<std::string> parts = split(says, '/');
    ahead_.insert(ahead_.end(), std::make_move_iterator(parts.rbegin()), std::make_move_iterator(parts.rend()));
  }

  // The driver root is made of the root-only folder and of usr.
  [[nodiscard]] const TreeEntry* find() const {
    std::string path;
    for (const std::string& part : place_) path += (path.empty() ? "" : "/") + part;
    auto found = entries_.end();
    if (root_ == Root::driver) found = entries_.find(std::string(kRootOnlyFolder) + "/" + path);
    if (found == entries_.end()) found = entries_.find(path);
    return found == entries_.end() ? nullptr : &found->second;
  }

  const TreeEntries& entries_;
  Root root_;
  std::vector<std::string> place_;  ///< where the walk is, from the root
  std::vector<std::string> ahead_;  ///< the rest of the way, the next part last
  int links_ = 0;
};

// Links are followed in the host's root once the extension is merged; those of the root-only folder in the driver root.
bool leads_out(const TreeEntries& entries, std::string_view path, std::string_view says) {
  if (is_at_or_below(path, kRootOnlyFolder) && path.size() > kRootOnlyFolder.size()) {
    return LinkWalk(entries, LinkWalk::Root::driver).leads_out(path.substr(kRootOnlyFolder.size() + 1), says);
  }
  return LinkWalk(entries, LinkWalk::Root::host).leads_out(path, says);
}

// Why an entry has no place in an extension; nothing if it has.
std::string objection(const TreeEntries& entries, const std::string& path, const TreeEntry& entry) {
  if (!is_at_or_below(path, "usr")) return "an extension holds usr/ only";
  if (is_at_or_below(path, "usr/lib/driverext/trust")) {
    return "an image must not say whom to trust; install trust anchors with the host";
  }
  if (is_at_or_below(path, "usr/lib/driverext/driverext.toml.d")) {
    return "an image must not configure driverext; write it to /etc/driverext/driverext.toml.d";
  }
  if (is_at_or_below(path, "usr/lib") && name_of(path) == "os-release") {
    return "it would take the place of the host's; leave it out";
  }
  if (name_of(path) == "ld.so.cache") return "it lists one machine's libraries; leave it out";
  if (path.starts_with(kModules) && entry.type != Type::directory && name_of(path).starts_with("modules.") &&
      parent_of(parent_of(path)) == kModules.substr(0, kModules.size() - 1)) {
    return "a module index would hide the host's; leave it out";
  }
  if (entry.type == Type::file && (entry.mode & (S_ISUID | S_ISGID)) != 0) {
    return "a set-user-ID or set-group-ID file would give every user its owner's rights; chmod ug-s, or leave it out";
  }
  if (entry.type == Type::link && leads_out(entries, path, entry.text)) {
    return "the link to " + entry.text + " leads out of the extension; point it below /usr";
  }
  return {};
}

}  // namespace

uint32_t TreeEntry::mode_in_image() const {
  if (type == Type::link) return 0777;
  return type == Type::directory || (mode & S_IXUSR) != 0 ? 0755 : 0644;
}

Result<TreeEntries> list_tree(const ImageTree& tree) {
  TreeEntries entries;
  if (!tree.path_in_image.empty()) TRY_VOID(add(entries, tree.path_in_image, {}));
  const std::string prefix = tree.path_in_image.empty() ? "" : tree.path_in_image + "/";
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree.source, error), end; !error && it != end; it.increment(error)) {
    TRY(TreeEntry entry, entry_of(it->path()));
    entries.emplace(prefix + it->path().lexically_relative(tree.source).string(), std::move(entry));
  }
  if (error) return os_failure(error.value(), "cannot read " + tree.source);
  return entries;
}

Result<TreeEntries> collect_tree(const std::vector<ImageTree>& trees, const std::vector<ImageContent>& files,
                                 const Manifest& manifest, const std::string& manifest_text) {
  TreeEntries entries;
  for (const ImageTree& tree : trees) {
    TRY(TreeEntries listed, list_tree(tree));
    for (auto& [path, entry] : listed) TRY_VOID(add(entries, path, std::move(entry)));
  }
  for (const ImageContent& file : files) {
    TRY_VOID(check_relative_path("path in image", file.path_in_image));
    TreeEntry entry{.type = Type::file, .text = file.text};
    entry.size = file.text.size();
    if (!file.source.empty()) {
      std::error_code error;
      const fs::path source = fs::canonical(file.source, error);
      if (error) return os_failure(error.value(), "cannot find " + file.source);
      TRY(entry, entry_of(source));
      if (entry.type != Type::file) return make_error(Errc::invalid_input, file.source + " is not a file");
      entry.mode = 0;  // a module is no program, whatever its mode says
    }
    TRY_VOID(add(entries, file.path_in_image, std::move(entry)));
  }
  TRY_VOID(put_text(entries, std::string(kManifestPath), manifest_text));
  TRY_VOID(put_text(entries, "usr/lib/extension-release.d/extension-release." + extension_name(manifest),
                    "ID=" + manifest.os_id +
                        (manifest.os_version_id.empty() ? "" : "\nVERSION_ID=" + manifest.os_version_id) +
                        "\nARCHITECTURE=" + manifest.architecture + "\n"));
  return entries;
}

Result<void> check_extension_tree(const TreeEntries& entries) {
  for (const auto& [path, entry] : entries) {
    const std::string why = objection(entries, path, entry);
    if (!why.empty()) return make_error(Errc::invalid_input, path + " has no place in an extension: " + why);
  }
  return {};
}

}  // namespace driverext
