// Self-extracting archives (*.run): a shell script with a compressed tar archive behind it. The script is read as text
// and never run, nor is a decompressor that some of them carry between script and archive.
//
// Formats: makeself 2.x (https://makeself.io): `filesizes`, checksums over the archive. Its old 1.x line, which driver
// packages still come in (makeself 1.6.0-nvN): `skip` is the number of the archive's first line, checksums over all of
// the file from a line that the script itself names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "userland/work.hpp"

namespace driverext {

/// More of a file than any script, with a decompressor behind it, has taken up so far (160 KB).
constexpr size_t kMaxSelfExtractingHead = size_t{4} << 20;

struct FileRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct SelfExtracting {
  FileRange payload;            ///< the archive, inside the file
  std::string label;            ///< for people
  std::string version;          ///< version_string; empty if none is stated
  std::string machine;          ///< "x86_64", "aarch64"; empty if none is stated
  FileRange summed;             ///< what the checksums are over
  std::string sha256;           ///< hex; empty if none is stated
  std::string md5;              ///< the same
  std::optional<uint32_t> crc;  ///< of cksum(1)
};

/// Whether a file that begins like this is a script at all.
bool is_script(std::string_view head);

/// Reads the script at the beginning of a file of `file_size` bytes: at most kMaxSelfExtractingHead of it is in `head`.
/// Errors: Errc::invalid_input.
Result<SelfExtracting> parse_self_extracting(std::string_view head, uint64_t file_size);

/// Which checksum a file was held against. All of them tell of damage; none tells who made the file.
enum class Checksum { none, crc, md5, sha256 };
std::string_view checksum_name(Checksum checksum);

/// Compares the best of the stated checksums. Errors: Errc::invalid_input if the file is damaged.
Result<Checksum> check_integrity(int fd, const SelfExtracting& archive, std::string_view what,
                                 const UserlandWork& work);

}  // namespace driverext
