// What the dynamic linker reads of an ELF file: its own name. 32 and 64 bit, little-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"

namespace driverext {

struct ElfDynamic {
  std::string machine;  ///< as uname spells it: "x86_64", "aarch64", "i686"; empty for others
  bool is_64_bit = false;
  std::string soname;  ///< empty if it has none
};

/// Fills the span from there, or says no if the file has not that much.
using ReadAt = std::function<bool(uint64_t offset, std::span<std::byte> into)>;

/// Nothing if it is no little-endian ELF file, or one whose tables lie outside. (System V gABI, chapter 5.)
std::optional<ElfDynamic> read_elf_dynamic(const ReadAt& read);
/// The same of an open file.
std::optional<ElfDynamic> read_elf_dynamic(int fd);

}  // namespace driverext
