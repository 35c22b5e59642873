#include "userland/self_extracting.hpp"

#include <algorithm>
#include <charconv>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "crypto/digest.hpp"
#include "crypto/md5.hpp"
#include "sys/dir.hpp"
#include "userland/cksum.hpp"

namespace driverext {
namespace {

constexpr size_t kWindow = size_t{1} << 20;
// Both kinds of script set their variables well before that; what is behind may be licence and help texts.
constexpr size_t kMaxVariables = size_t{64} << 10;

template <class T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Where the value in the script's first line `KEY=value` begins; npos if there is none.
size_t find_variable(std::string_view script, std::string_view key) {
  for (size_t begin = 0; begin < script.size(); begin = std::min(script.find('\n', begin), script.size()) + 1) {
    const std::string_view rest = script.substr(begin);
    if (rest.starts_with(key) && rest.substr(key.size(), 1) == "=") return begin + key.size() + 1;
  }
  return std::string_view::npos;
}

// That value without its quotes; nothing if there is none.
std::optional<std::string> variable(std::string_view script, std::string_view key) {
  const size_t begin = find_variable(script, key);
  if (begin == std::string_view::npos) return std::nullopt;
  std::string_view value = script.substr(begin, script.find('\n', begin) - begin);
  const bool quoted =
      value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
  if (quoted) value = value.substr(1, value.size() - 2);
  return std::string(value);
}

std::optional<std::string> variable(std::string_view script, std::string_view key, std::string_view other_key) {
  std::optional<std::string> value = variable(script, key);
  return value ? value : variable(script, other_key);
}

// The number in `BEFORE<number>AFTER`, the first time that this stands in the script.
std::optional<uint64_t> number_between(std::string_view script, std::string_view before, std::string_view after) {
  for (size_t at = script.find(before); at != std::string_view::npos; at = script.find(before, at + 1)) {
    const std::string_view rest = script.substr(at + before.size());
    const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (digits != 0 && rest.substr(digits).starts_with(after)) return number<uint64_t>(rest.substr(0, digits));
  }
  return std::nullopt;
}

// Where the line after so many others begins.
std::optional<uint64_t> offset_after_lines(std::string_view head, uint64_t lines) {
  size_t at = 0;
  for (; lines > 0; --lines) {
    const size_t end = head.find('\n', at);
    if (end == std::string_view::npos) return std::nullopt;
    at = end + 1;
  }
  return at;
}

// Hex of the right length; nothing for what is no digest, and for the zeros that stand for "none".
std::string stated_digest(const std::optional<std::string>& text, size_t digits) {
  if (!text || text->size() != digits || text->find_first_not_of('0') == std::string::npos) return {};
  return from_hex(*text) ? *text : std::string();
}

Error malformed(std::string_view what) {
  return make_error(Errc::invalid_input,
                    "this is not a self-extracting archive that can be read: " + std::string(what) +
                        "; unpack it yourself (--extract-only, or --noexec --target) and name the folder");
}

// Makeself 2: the archive has so many bytes, and the checksums are of just these.
Result<void> read_sized(std::string_view head, std::string_view script, std::string_view sizes, uint64_t file_size,
                        SelfExtracting& archive) {
  const std::optional<uint64_t> size = number<uint64_t>(sizes);
  if (!size) return malformed("filesizes is \"" + std::string(sizes.substr(0, 64)) + "\", which is not one size");
  std::optional<uint64_t> lines;
  if (const auto skip = variable(script, "skip")) {
    lines = number<uint64_t>(*skip);
  } else {
    lines = number_between(head, "head -n ", " \"$0\"");  // before 2.4.3
  }
  const std::optional<uint64_t> offset = lines ? offset_after_lines(head, *lines) : std::nullopt;
  if (!offset) return malformed("it does not say after which line the archive begins");
  if (*offset > file_size || file_size - *offset < *size) {
    return make_error(Errc::invalid_input, "the file is cut short: its archive should have " + std::to_string(*size) +
                                               " bytes; fetch it again");
  }
  archive.payload = {*offset, *size};
  archive.summed = archive.payload;
  return {};
}

// Makeself 1: the archive is all from line `skip` on, and the checksums are of all from a line further up.
Result<void> read_by_line(std::string_view head, std::string_view skip, uint64_t file_size, SelfExtracting& archive) {
  const std::optional<uint64_t> line = number<uint64_t>(skip);
  const std::optional<uint64_t> offset = line && *line > 0 ? offset_after_lines(head, *line - 1) : std::nullopt;
  if (!offset) return malformed("skip is \"" + std::string(skip.substr(0, 64)) + "\", and there is no such line");
  if (*offset >= file_size) return make_error(Errc::invalid_input, "the file ends before its archive; fetch it again");
  archive.payload = {*offset, file_size - *offset};
  if (const auto first = number_between(head.substr(0, *offset), "tail -n +", " $0 | cksum"); first && *first > 0) {
    if (const auto from = offset_after_lines(head, *first - 1)) archive.summed = {*from, file_size - *from};
  }
  return {};
}

}  // namespace

bool is_script(std::string_view head) { return head.starts_with("#!"); }

Result<SelfExtracting> parse_self_extracting(std::string_view head, uint64_t file_size) {
  if (!is_script(head)) return malformed("it does not begin with a script");
  const std::string_view script = head.substr(0, kMaxVariables);
  SelfExtracting archive;
  // Makeself 2 has both, in this order. Whatever comes later may be a part of something else.
  const auto sizes = variable(script, "filesizes");
  const auto skip = variable(script, "skip");
  if (sizes && find_variable(script, "filesizes") < find_variable(script, "skip")) {
    TRY_VOID(read_sized(head, script, *sizes, file_size, archive));
  } else if (skip) {
    TRY_VOID(read_by_line(head, *skip, file_size, archive));
  } else {
    return malformed("its script states neither filesizes nor skip");
  }
  archive.label = variable(script, "label").value_or("");
  archive.version = variable(script, "version_string").value_or("");
  archive.machine = variable(script, "TARGET_ARCH").value_or("");
  if (archive.summed.size == 0) return archive;  // nothing says what the sums are of
  archive.sha256 = stated_digest(variable(script, "SHA", "SHAsum"), 64);
  archive.md5 = stated_digest(variable(script, "MD5", "MD5sum"), 32);
  if (const auto crc = variable(script, "CRCsum"); crc && crc->find_first_not_of('0') != std::string::npos) {
    archive.crc = number<uint32_t>(*crc);
  }
  return archive;
}

std::string_view checksum_name(Checksum checksum) {
  switch (checksum) {
    case Checksum::none:
      return "none";
    case Checksum::crc:
      return "CRC";
    case Checksum::md5:
      return "MD5";
    case Checksum::sha256:
      return "SHA-256";
  }
  return "";
}

Result<Checksum> check_integrity(int fd, const SelfExtracting& archive, std::string_view what,
                                 const UserlandWork& work) {
  Checksum checksum = Checksum::none;
  std::optional<Md5> md5;
  if (!archive.sha256.empty()) {
    checksum = Checksum::sha256;
  } else if (Result<Md5> started = Md5::start(); started && !archive.md5.empty()) {
    md5.emplace(*std::move(started));
    checksum = Checksum::md5;
  } else if (archive.crc) {
    checksum = Checksum::crc;
  }
  if (checksum == Checksum::none) return checksum;
  Sha256 sha256;
  Cksum crc;
  Bytes buffer(kWindow);
  for (uint64_t done = 0; done < archive.summed.size;) {
    TRY_VOID(go_on(work, "checking", done, archive.summed.size));
    const auto window = std::span(buffer).first(std::min<uint64_t>(kWindow, archive.summed.size - done));
    TRY_VOID(read_exactly(fd, window, archive.summed.offset + done, what));
    if (checksum == Checksum::sha256) sha256.update(window);
    if (checksum == Checksum::md5) md5->update(window);
    if (checksum == Checksum::crc) crc.update(window);
    done += window.size();
  }
  const bool same = checksum == Checksum::sha256 ? to_hex(sha256.finish()) == archive.sha256
                    : checksum == Checksum::md5  ? md5->finish() == archive.md5
                                                 : crc.finish() == *archive.crc;
  if (same) return checksum;
  return make_error(Errc::invalid_input, std::string(what) + " is damaged: its " +
                                             std::string(checksum_name(checksum)) +
                                             " is not the one that it states; fetch it again");
}

}  // namespace driverext
