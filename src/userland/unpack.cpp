#include "userland/unpack.hpp"

#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "userland/libarchive.hpp"

namespace driverext {
namespace {

constexpr size_t kWindow = size_t{1} << 20;

// Names in pax headers are UTF-8, which libarchive converts to the locale's encoding; this program sets no locale, and
// "C" has room for ASCII alone. Of this thread, as long as it lives. Every C library since 2022 has it built in; with
// an older one that lacks its file, names stay ASCII.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }

 private:
  locale_t locale_;
  locale_t before_ = nullptr;
};

struct FreeReader {
  const LibArchive* library;
  void operator()(archive* reader) const { library->read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeReader>;

// What libarchive reads from: a range of a file, so that nothing before or behind it counts.
struct Source {
  int fd;
  std::string what;
  FileRange range;
  const UserlandWork& work;
  const LibArchive& library;
  uint64_t done = 0;
  Bytes buffer = Bytes(kWindow);
  std::optional<Error> error{};  ///< libarchive knows only numbers and texts
};

la_ssize_t read_more(archive* reader, void* data, const void** bytes) {
  Source& source = *static_cast<Source*>(data);
  const auto window =
      std::span(source.buffer).first(std::min<uint64_t>(source.buffer.size(), source.range.size - source.done));
  Result<void> read = go_on(source.work, "unpacking", source.done, source.range.size);
  if (read) read = read_exactly(source.fd, window, source.range.offset + source.done, source.what);
  if (!read) {
    source.error = read.error();
    source.library.set_error(reader, EIO, "interrupted");
    return ARCHIVE_FATAL;
  }
  source.done += window.size();
  *bytes = window.data();
  return static_cast<la_ssize_t>(window.size());
}

Error broken(const Source& source, const std::string& why) {
  return make_error(Errc::invalid_input, source.what + " cannot be unpacked: " + why);
}

Error failed(const Source& source, archive* reader) {
  if (source.error) return *source.error;
  const char* text = source.library.error_string(reader);
  return broken(source, text != nullptr ? printable(text) : "the archive is damaged");
}

Result<Reader> open_reader(Source& source) {
  const LibArchive& library = source.library;
  Reader reader(library.read_new(), {&library});
  if (!reader) return make_error(Errc::system, "out of memory");
  // ARCHIVE_WARN would mean: by running gzip, xz, ... from the PATH.
  const bool handled =
      library.support_gzip(reader.get()) == ARCHIVE_OK && library.support_bzip2(reader.get()) == ARCHIVE_OK &&
      library.support_xz(reader.get()) == ARCHIVE_OK && library.support_zstd(reader.get()) == ARCHIVE_OK &&
      library.support_tar(reader.get()) == ARCHIVE_OK;
  if (!handled) return make_error(Errc::unsupported, "this libarchive lacks gzip, bzip2, xz or zstd");
  if (library.read_open(reader.get(), &source, nullptr, read_more, nullptr) != ARCHIVE_OK) {
    return failed(source, reader.get());
  }
  return reader;
}

// A path as tar writes it ("./a/b/") as one to use ("a/b"); empty for the archive's own top.
Result<std::string> clean_path(const Source& source, const char* raw, const UnpackLimits& limits) {
  std::string_view text = raw != nullptr ? raw : "";
  const std::string shown = "\"" + printable(text.substr(0, 160)) + "\"";
  if (text.empty() || text.size() > limits.path) return broken(source, "an entry's path is empty or too long");
  if (text.front() == '/') return broken(source, shown + " is an absolute path");
  std::string path;
  size_t depth = 0;
  for (const std::string& part : split(text, '/')) {
    if (part.empty() || part == ".") continue;
    const bool strange = part == ".." || part.size() > 255 ||
                         std::any_of(part.begin(), part.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (strange) return broken(source, shown + " is no path to unpack to");
    if (++depth > limits.depth) return broken(source, shown + " lies too deep");
    path += (path.empty() ? "" : "/") + part;
  }
  return path;
}

// ".." counts only at the beginning of a target: folders are real ones there, so that each goes up by exactly one.
// Behind another component, which may be a link itself, nobody could say where it leads.
Result<std::string> link_target(const Source& source, const std::string& path, const char* raw,
                                const UnpackLimits& limits) {
  const std::string_view text = raw != nullptr ? raw : "";
  const std::string shown = path + " → \"" + printable(text.substr(0, 160)) + "\"";
  if (text.empty() || text.size() > limits.path || text.front() == '/') {
    return broken(source, "the link " + shown + " leads out of the archive");
  }
  auto left = std::count(path.begin(), path.end(), '/');
  bool going_up = true;
  for (const std::string& part : split(text, '/')) {
    const bool up = part == "..";
    if (up && (!going_up || --left < 0)) return broken(source, "the link " + shown + " leads out of the archive");
    if (!up && !part.empty() && part != ".") going_up = false;
  }
  return std::string(text);
}

class Unpacker {
 public:
  Unpacker(Source& source, archive* reader, UniqueFd top, const UnpackLimits& limits)
      : source_(source), reader_(reader), top_(std::move(top)), limits_(limits) {}

  Result<void> run() {
    size_t entries = 0;
    while (true) {
      archive_entry* entry = nullptr;
      const int code = source_.library.next_header(reader_, &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK) return failed(source_, reader_);
      if (++entries > limits_.entries) return broken(source_, "it has too many entries");
      TRY_VOID(unpack(entry));
    }
    if (entries == 0) return broken(source_, "there is nothing in it");
    return make_links();
  }

 private:
  struct Link {
    std::string path;
    std::string target;
  };

  Result<void> unpack(archive_entry* entry) {
    TRY(const std::string path, clean_path(source_, source_.library.pathname(entry), limits_));
    if (const char* target = source_.library.hardlink(entry); target != nullptr) {
      TRY(std::string first, clean_path(source_, target, limits_));
      if (path.empty() || !files_.contains(first))
        return broken(source_, path + " is another name of what is not there");
      hard_links_.push_back({path, std::move(first)});
      return {};
    }
    switch (source_.library.filetype(entry)) {
      case AE_IFDIR:
        return make_folder(path);
      case AE_IFREG:
        return write_file(path, entry);
      case AE_IFLNK: {
        TRY(std::string target, link_target(source_, path, source_.library.symlink(entry), limits_));
        links_.push_back({path, std::move(target)});
        return {};
      }
      default:
        return broken(source_, path + " is neither file, folder nor link");
    }
  }

  Result<void> make_folder(const std::string& path) {
    for (size_t end = 0; !path.empty() && end != std::string::npos;) {
      end = path.find('/', end + 1);
      const std::string folder = path.substr(0, end);
      if (folders_.contains(folder)) continue;
      if (::mkdirat(top_.get(), folder.c_str(), 0755) != 0) return cannot("make", folder);
      folders_.insert(folder);
    }
    return {};
  }

  Result<void> make_parents(const std::string& path) {
    if (path.empty()) return broken(source_, "an entry that is no folder has no name");
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? Result<void>() : make_folder(path.substr(0, slash));
  }

  // While files are written there is no link yet: nothing that a path leads through can be one.
  Result<void> write_file(const std::string& path, archive_entry* entry) {
    TRY_VOID(make_parents(path));
    const int64_t stated = source_.library.size(entry);
    const auto size = static_cast<uint64_t>(std::max<int64_t>(stated, 0));
    if (stated < 0 || size > limits_.file || size > limits_.total - total_) {
      return broken(source_, path + " makes it larger than " + human_size(limits_.total) +
                                 ", or is itself larger than " + human_size(limits_.file));
    }
    total_ += size;
    const UniqueFd file(::openat(top_.get(), path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return cannot("create", path);
    TRY_VOID(write_content(file.get(), path, size));
    const bool runs = (source_.library.mode(entry) & S_IXUSR) != 0;
    const timespec time{source_.library.mtime(entry), 0};
    const timespec times[2] = {time, time};
    if (::ftruncate(file.get(), stated) != 0 || ::fchmod(file.get(), runs ? 0755 : 0644) != 0 ||
        ::futimens(file.get(), times) != 0) {
      return cannot("write", path);
    }
    files_.insert(path);
    return {};
  }

  Result<void> write_content(int file, const std::string& path, uint64_t size) {
    while (true) {
      const void* bytes = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int code = source_.library.data_block(reader_, &bytes, &length, &offset);
      if (code == ARCHIVE_EOF) return {};
      if (code != ARCHIVE_OK) return failed(source_, reader_);
      const auto begin = static_cast<uint64_t>(offset);
      if (offset < 0 || begin > size || length > size - begin) return broken(source_, path + " is larger than it says");
      TRY_VOID(write_exactly(file, {static_cast<const std::byte*>(bytes), length}, begin, path));
    }
  }

  Result<void> make_links() {
    for (const Link& link : hard_links_) {
      TRY_VOID(make_parents(link.path));
      if (::linkat(top_.get(), link.target.c_str(), top_.get(), link.path.c_str(), 0) != 0) {
        return cannot("link", link.path);
      }
    }
    for (const Link& link : links_) TRY_VOID(make_parents(link.path));
    for (const Link& link : links_) {
      if (::symlinkat(link.target.c_str(), top_.get(), link.path.c_str()) != 0) return cannot("link", link.path);
    }
    return {};
  }

  [[nodiscard]] Error cannot(const char* verb, const std::string& path) const {
    const int error = errno;
    if (error == EEXIST) return broken(source_, printable(path) + " stands in it twice");
    return os_failure(error, std::string("cannot ") + verb + " " + printable(path));
  }

  Source& source_;
  archive* reader_;
  UniqueFd top_;
  const UnpackLimits& limits_;
  uint64_t total_ = 0;
  std::set<std::string> folders_;
  std::set<std::string> files_;
  std::vector<Link> hard_links_;
  std::vector<Link> links_;
};

}  // namespace

Result<void> unpack_tar(int fd, std::string_view what, FileRange range, const Dir& into, const UserlandWork& work,
                        const UnpackLimits& limits) {
  TRY(const LibArchive* library, load_libarchive());
  const Utf8Locale utf8;
  Source source{fd, std::string(what), range, work, *library};
  TRY(const Reader reader, open_reader(source));
  TRY(UniqueFd top, into.open_file(".", O_RDONLY | O_DIRECTORY));
  return Unpacker(source, reader.get(), std::move(top), limits).run();
}

}  // namespace driverext
