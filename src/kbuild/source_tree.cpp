#include "kbuild/source_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/text.hpp"
#include "crypto/digest.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kUnpackTimeoutSec = 600;
// The kernel's own source has some 90,000 files.
constexpr size_t kMaxFiles = 200'000;
constexpr uintmax_t kMaxUnpacked = uintmax_t{4} << 30;

struct Entry {
  std::string path;  ///< relative
  fs::file_type type;
};

Result<void> go_on(int cancel_fd) {
  if (is_readable(cancel_fd)) return make_error(Errc::transient, "interrupted while reading the source");
  return {};
}

// Everything below a folder, sorted by the bytes of its path; nothing in it but files, folders and links.
Result<std::vector<Entry>> entries_of(const std::string& tree, int cancel_fd = -1) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    TRY_VOID(go_on(cancel_fd));
    const fs::file_type type = it->symlink_status(error).type();
    if (error) break;
    const std::string path = it->path().lexically_relative(tree).string();
    if (type != fs::file_type::regular && type != fs::file_type::directory && type != fs::file_type::symlink) {
      return make_error(Errc::invalid_input, path + " in the source is neither file, folder nor link");
    }
    entries.push_back({path, type});
    if (entries.size() > kMaxFiles) {
      return make_error(Errc::invalid_input, tree + " has too many files for the source of a driver");
    }
  }
  if (error) return os_failure(error.value(), "cannot list " + tree);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return entries;
}

Result<Digest> digest_of_file(const std::string& path, int cancel_fd) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + path);
  Sha256 sha;
  std::array<std::byte, 65536> buffer{};
  while (true) {
    TRY_VOID(go_on(cancel_fd));
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_failure(errno, "cannot read " + path);
    if (n == 0) return sha.finish();
    sha.update(ByteSpan(buffer).first(static_cast<size_t>(n)));
  }
}

bool is_module_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".ko") || name.ends_with(".ko.xz") || name.ends_with(".ko.zst") || name.ends_with(".ko.gz");
}

Result<void> copy_entry(const Entry& entry, const std::string& from, const std::string& to) {
  std::error_code error;
  switch (entry.type) {
    case fs::file_type::directory:
      fs::create_directory(to, from, error);  // with its mode
      if (!error) fs::permissions(to, fs::perms::owner_all, fs::perm_options::add, error);
      break;
    case fs::file_type::symlink:
      fs::copy_symlink(from, to, error);
      break;
    default:
      fs::copy_file(from, to, error);
      // make compares times: of a generated file and what it is made from, the order must stay.
      if (!error) fs::last_write_time(to, fs::last_write_time(from, error), error);
  }
  if (error) return os_failure(error.value(), "cannot copy " + from + " to " + to);
  return {};
}

Error too_much(uintmax_t size) {
  return make_error(Errc::invalid_input, "the package holds " + human_size(size) + ", too much for a driver's source");
}

// dpkg-deb itself has no bounds. It writes what it unpacks as one stream, of which no more is read than may be; where
// that ends the package is told by unpacking it.
Result<void> check_size(Programs& programs, const std::string& package, int cancel_fd) {
  Result<std::string> counted =
      programs.run({.argv = {"sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" 2>/dev/null | head -c \"$2\" | wc -c", "size",
                             package, std::to_string(kMaxUnpacked + 1)},
                    .timeout_sec = kUnpackTimeoutSec,
                    .cancel_fd = cancel_fd});
  if (!counted) return std::move(counted).with_context("reading " + package).error();
  uintmax_t size = 0;
  const std::string_view digits = trim(*counted);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (code != std::errc() || end != digits.data() + digits.size()) {
    return make_error(Errc::system, "the size of " + package + " could not be counted");
  }
  return size > kMaxUnpacked ? too_much(size) : Result<void>();
}

// Files of holes take up nothing in that stream.
Result<void> check_unpacked(const std::string& folder, int cancel_fd) {
  TRY(const std::vector<Entry> entries, entries_of(folder, cancel_fd));
  uintmax_t total = 0;
  for (const Entry& entry : entries) {
    if (entry.type != fs::file_type::regular) continue;
    const std::string path = folder + "/" + entry.path;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return os_failure(errno, "cannot look at " + path);
    if ((info.st_mode & (S_ISUID | S_ISGID)) != 0) {
      return make_error(Errc::invalid_input, entry.path + " in the package runs as another user (set-user-id)");
    }
    total += static_cast<uintmax_t>(info.st_size);
  }
  return total > kMaxUnpacked ? too_much(total) : Result<void>();
}

Result<void> unpack(Programs& programs, const std::string& package, const std::string& folder, int cancel_fd) {
  TRY_VOID(check_size(programs, package, cancel_fd));
  Result<std::string> unpacked = programs.run(
      {.argv = {"dpkg-deb", "--extract", package, folder}, .timeout_sec = kUnpackTimeoutSec, .cancel_fd = cancel_fd});
  if (!unpacked && unpacked.error().os_error == ENOENT) {
    return make_error(Errc::unsupported, "unpacking a Debian package needs dpkg-deb (package dpkg); or unpack " +
                                             package + " elsewhere and name the folder");
  }
  if (!unpacked) return std::move(unpacked).with_context("unpacking " + package).error();
  return check_unpacked(folder, cancel_fd);
}

}  // namespace

Result<void> copy_source(const std::string& source, const std::string& target, int cancel_fd) {
  TRY(const std::vector<Entry> entries, entries_of(source, cancel_fd));
  TRY_VOID(copy_entry({"", fs::file_type::directory}, source, target));
  for (const Entry& entry : entries) {
    TRY_VOID(go_on(cancel_fd));
    if (entry.type != fs::file_type::directory && is_module_name(entry.path)) continue;
    TRY_VOID(copy_entry(entry, source + "/" + entry.path, target + "/" + entry.path));
  }
  return {};
}

Result<std::vector<std::string>> modules_in(const std::string& tree) {
  std::vector<std::string> modules;
  TRY(const std::vector<Entry> entries, entries_of(tree));
  for (const Entry& entry : entries) {
    if (entry.type == fs::file_type::regular && entry.path.ends_with(".ko")) modules.push_back(entry.path);
  }
  return modules;
}

Result<SourceIdentity> identify_source(const std::string& tree, int cancel_fd) {
  SourceIdentity identity;
  Sha256 sha;
  TRY(const std::vector<Entry> entries, entries_of(tree, cancel_fd));
  for (const Entry& entry : entries) {
    if (entry.type == fs::file_type::directory) continue;
    const std::string path = tree + "/" + entry.path;
    if (entry.path.find('\n') != std::string::npos) {
      return make_error(Errc::invalid_input, path + ": line breaks in file names are not handled");
    }
    Digest digest;
    if (entry.type == fs::file_type::symlink) {
      std::error_code error;
      const std::string link = fs::read_symlink(path, error).string();
      if (error) return os_failure(error.value(), "cannot read " + path);
      digest = sha256(as_bytes(link));
    } else {
      TRY(digest, digest_of_file(path, cancel_fd));
      struct stat info {};
      if (::lstat(path.c_str(), &info) != 0) return os_failure(errno, "cannot look at " + path);
      identity.newest = std::max(identity.newest, static_cast<uint64_t>(std::max<time_t>(info.st_mtim.tv_sec, 0)));
    }
    sha.update(as_bytes(to_hex(digest) + "  " + entry.path + "\n"));
  }
  identity.digest = to_hex(sha.finish());
  return identity;
}

Result<std::string> find_dkms_source(Programs& programs, const std::string& source, const std::string& unpack_to,
                                     int cancel_fd) {
  std::string top = source;
  std::error_code error;
  if (fs::is_regular_file(source, error)) {
    TRY_VOID(unpack(programs, source, unpack_to, cancel_fd));
    top = unpack_to;
  }
  if (fs::is_regular_file(top + "/dkms.conf", error)) return top;
  for (const char* folder : {"/usr", "/usr/src"}) {
    if (fs::is_symlink(fs::symlink_status(top + folder, error))) {
      return make_error(Errc::invalid_input,
                        folder + std::string(" in ") + source + " is a link, which is not followed");
    }
  }
  std::vector<std::string> found;
  fs::directory_iterator packages(top + "/usr/src", error);
  for (; !error && packages != fs::directory_iterator(); packages.increment(error)) {
    const bool is_folder = fs::is_directory(packages->symlink_status(error));
    if (is_folder && fs::is_regular_file(packages->path() / "dkms.conf", error)) {
      found.push_back(packages->path().string());
    }
    error.clear();
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return make_error(Errc::not_found, "there is no dkms.conf in " + source + ", nor in usr/src/* below it");
  }
  std::sort(found.begin(), found.end());
  return make_error(Errc::invalid_input,
                    source + " holds several sources; name one of them: " + found[0] + ", " + found[1]);
}

}  // namespace driverext
