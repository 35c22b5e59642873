// What a module file (.ko, also compressed) says of itself. Read by our own bounded reader: the files come from
// outside.
//
// Sources: include/linux/module.h and moduleparam.h (.modinfo: "key=value" strings, each with a NUL),
// scripts/mod/modpost.c
// (__versions and, from Linux 6.14 on, __version_ext_crcs and __version_ext_names).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "modules/elf_file.hpp"
#include "modules/module_compression.hpp"

namespace driverext {

/// No module, decompressed or not, is larger.
constexpr size_t kMaxModuleFile = size_t{1} << 30;
/// The largest that a compressed one may become: five times the largest known, with all its debugging information.
constexpr size_t kMaxDecompressed = size_t{256} << 20;

struct ModuleParameter {
  std::string name;
  std::string type;         ///< "int", "array of charp"; empty if it says none
  std::string description;  ///< empty if it has none
};

struct ModuleInfo {
  std::string name;  ///< as /proc/modules spells it
  std::string version;
  std::string srcversion;
  std::string license;
  std::string vermagic;
  std::string build_id;                    ///< GNU build id, hex
  std::string machine;                     ///< as uname -m spells it
  std::vector<std::string> toolchain;      ///< the compilers' own words, each once
  std::vector<std::string> depends;        ///< as /proc/modules spells them
  std::vector<std::string> softdeps_pre;   ///< names or aliases, as the module spells them
  std::vector<std::string> softdeps_post;  ///< the same
  std::vector<std::string> aliases;
  std::vector<std::string> firmware;           ///< below /usr/lib/firmware; can be patterns
  std::vector<std::string> import_namespaces;  ///< symbol namespaces
  std::vector<ModuleParameter> parameters;     ///< in the order in which the module first names them
  bool intree = false;
  bool retpoline = false;

  /// vermagic's first word.
  [[nodiscard]] std::string kernel_release() const;
};

/// Errors: Errc::invalid_input if it is no kernel module.
Result<ModuleInfo> read_module_info(const ElfFile& elf);

/// Symbols that the module takes from kernel and other modules, with the CRC of each one's type; none if its kernel was
/// built without CONFIG_MODVERSIONS.
Result<std::map<std::string, uint32_t>> read_imports(const ElfFile& elf);

/// Symbols that the module exports to other modules, sorted.
Result<std::vector<std::string>> read_exports(const ElfFile& elf);

/// Of a plain file only what is needed is read; a compressed one is decompressed whole, since its section table stands
/// at its end. Errors: as read_module_info and decompress.
Result<ModuleInfo> read_module_file(const std::string& path);

struct PlainModule {
  OwnedBytes content;  ///< decompressed
  Compression compression = Compression::none;
};
/// All of a file's bytes.
Result<PlainModule> load_module_file(const std::string& path);

}  // namespace driverext
