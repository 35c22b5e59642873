#include "sysext/tar_stream.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/bytes.hpp"
#include "sys/fd.hpp"

namespace driverext {
namespace {

constexpr uint64_t kRecord = 512;
constexpr size_t kNameField = 100;
constexpr uint64_t kLargestOctal = uint64_t{8} << 30;  // 11 digits: sizes below this
constexpr size_t kStep = size_t{4} << 20;

Result<void> write_all(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_failure(errno, "cannot hand the files on");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<void> write_zeros(int fd, uint64_t size) {
  static constexpr std::array<std::byte, 2 * kRecord> kZeros{};
  return write_all(fd, std::span(kZeros).first(size));
}

// "%0*o", without a NUL behind it.
void put_octal(std::string& record, size_t offset, size_t digits, uint64_t value) {
  for (size_t i = digits; i-- > 0; value >>= 3) record[offset + i] = static_cast<char>('0' + (value & 7));
}

struct Header {
  char type = '0';
  std::string name = {};
  std::string link = {};
  uint64_t size = 0;
  uint32_t mode = 0;
  uint64_t time = 0;
};

std::string ustar(const Header& header) {
  std::string record(kRecord, '\0');
  const auto put = [&](size_t offset, std::string_view text, size_t room) {
    text = text.substr(0, room);
    record.replace(offset, text.size(), text);
  };
  put(0, header.name, kNameField);
  put_octal(record, 100, 7, header.mode);
  put_octal(record, 108, 7, 0);
  put_octal(record, 116, 7, 0);
  put_octal(record, 124, 11, header.size < kLargestOctal ? header.size : 0);
  put_octal(record, 136, 11, header.time);
  put(148, "        ", 8);
  record[156] = header.type;
  put(157, header.link, kNameField);
  put(257, std::string_view("ustar\00000", 8), 8);
  uint64_t sum = 0;
  for (const char c : record) sum += static_cast<unsigned char>(c);
  put_octal(record, 148, 6, sum);
  record[154] = '\0';
  return record;
}

// "LENGTH KEY=VALUE\n", where the length counts its own digits.
std::string pax_field(std::string_view key, std::string_view value) {
  const std::string rest = " " + std::string(key) + "=" + std::string(value) + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

Result<void> write_header(int fd, const Header& header) {
  std::string fields;
  if (header.name.size() > kNameField) fields += pax_field("path", header.name);
  if (header.link.size() > kNameField) fields += pax_field("linkpath", header.link);
  if (header.size >= kLargestOctal) fields += pax_field("size", std::to_string(header.size));
  std::string records;
  if (!fields.empty()) {
    records = ustar({.type = 'x', .name = "pax", .size = fields.size(), .mode = 0644, .time = header.time}) + fields;
    records.resize(round_up(records.size(), kRecord), '\0');
  }
  return write_all(fd, as_bytes(records + ustar(header)));
}

Error changed(const std::string& path) {
  return make_error(Errc::invalid_input, path + " was changed while it was packed; run it again");
}

class TarWriter {
 public:
  TarWriter(int pipe, const TarOptions& options, uint64_t total) : pipe_(pipe), options_(options), total_(total) {}

  Result<void> write(const std::string& path, const TreeEntry& entry) {
    Header header{.name = path, .mode = entry.mode_in_image(), .time = options_.time};
    switch (entry.type) {
      case TreeEntry::Type::directory:
        header.type = '5';
        return write_header(pipe_, header);
      case TreeEntry::Type::link:
        header.type = '2';
        header.link = entry.text;
        return write_header(pipe_, header);
      case TreeEntry::Type::file:
        break;
    }
    header.size = entry.size;
    TRY_VOID(write_header(pipe_, header));
    if (entry.source.empty()) {
      TRY_VOID(write_all(pipe_, as_bytes(entry.text)));
    } else {
      TRY_VOID(write_content(entry));
    }
    return write_zeros(pipe_, round_up(entry.size, kRecord) - entry.size);
  }

 private:
  // By sendfile: the pages of the page cache themselves go into the pipe.
  Result<void> write_content(const TreeEntry& entry) {
    const UniqueFd source(::open(entry.source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!source) return os_failure(errno, "cannot open " + entry.source);
    struct stat info {};
    if (::fstat(source.get(), &info) != 0) return os_failure(errno, "cannot look at " + entry.source);
    if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) != entry.size) return changed(entry.source);
    ::posix_fadvise(source.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint64_t done = 0; done < entry.size;) {
      const ssize_t n = ::sendfile(pipe_, source.get(), nullptr, std::min<uint64_t>(kStep, entry.size - done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return os_failure(errno, "cannot read " + entry.source);
      if (n == 0) return changed(entry.source);
      done += static_cast<uint64_t>(n);
      done_ += static_cast<uint64_t>(n);
      if (options_.progress) options_.progress(done_, total_);
    }
    return {};
  }

  int pipe_;
  const TarOptions& options_;
  uint64_t total_;
  uint64_t done_ = 0;
};

}  // namespace

Result<void> write_tar(int pipe, const TreeEntries& entries, const TarOptions& options) {
  uint64_t total = 0;
  for (const auto& [path, entry] : entries) {
    if (!entry.source.empty()) total += entry.size;
  }
  TarWriter writer(pipe, options, total);
  for (const auto& [path, entry] : entries) TRY_VOID(writer.write(path, entry));
  return write_zeros(pipe, 2 * kRecord);
}

}  // namespace driverext
