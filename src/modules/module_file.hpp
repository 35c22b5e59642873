// What a module file (.ko) says of itself.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace driverext {

struct ModuleInfo {
  std::string name;  ///< as /proc/modules spells it
  std::string vermagic;
  std::string license;
  std::string build_id;  ///< GNU build id, hex
  std::string machine;   ///< as uname -m spells it
  std::vector<std::string> depends;

  /// vermagic's first word.
  [[nodiscard]] std::string kernel_release() const;
};

/// Reads an uncompressed module. Errors: Errc::invalid_input if it is no kernel module.
Result<ModuleInfo> read_module_file(const std::string& path);

/// The machine that a 64-bit little-endian ELF file's bytes are for, as uname -m spells it.
/// Errors: Errc::invalid_input if it is not such a file, Errc::unsupported for other machines than x86_64 and aarch64.
Result<std::string> elf_machine(std::string_view elf);

/// The GNU build id of a 64-bit little-endian ELF file's bytes, hex; empty if it has none.
/// Every offset is checked. Errors: Errc::invalid_input if it is not such a file.
Result<std::string> elf_build_id(std::string_view elf);

}  // namespace driverext
