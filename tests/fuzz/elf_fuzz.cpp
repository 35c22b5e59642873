// Module files: ELF, .modinfo, tables of symbol versions, and the three ways to compress them.
#include "modules/module_compression.hpp"
#include "modules/module_file.hpp"
#include "support/tiny_elf.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

constexpr size_t kMaxPlain = size_t{1} << 20;

void run_plain(ByteSpan input) {
  const auto elf = ElfFile::of_bytes(input);
  if (!elf) return;
  const auto id = elf->build_id();
  if (id) require(id->size() <= 2 * input.size() && id->size() % 2 == 0);
  const auto section = elf->section(".modinfo", 64);
  if (section && *section) require((*section)->size() <= 64);
  const auto imports = read_imports(*elf);
  if (imports) {
    for (const auto& [symbol, crc] : *imports) require(!symbol.empty() && symbol.find('\0') == std::string::npos);
  }
  const auto info = read_module_info(*elf);
  if (!info) return;
  require(!info->name.empty() && !info->vermagic.empty() && !info->machine.empty());
  for (const std::string& name : info->depends) require(!name.empty() && name.find(',') == std::string::npos);
  for (const ModuleParameter& parameter : info->parameters) require(parameter.name.find(':') == std::string::npos);
}

void run(std::string_view input) {
  const ByteSpan bytes = as_bytes(input);
  const Compression compression = compression_of(bytes);
  if (compression == Compression::none) return run_plain(bytes);
  const auto plain = decompress(bytes, compression, kMaxPlain);
  if (!plain) return;
  require(plain->size <= kMaxPlain);
  run_plain(plain->span());
}

std::vector<std::string> seeds() {
  const std::string crcs("\x01\0\0\0\x02\0\0\0", 8);
  const std::string names("kfree\0printk\0", 13);
  return {
      test::tiny_elf("0123456789"), test::tiny_elf("ab", {.notes_before = 2}),
      test::tiny_module({.depends = "a,b-c",
                         .info = {"parm=a:text", "parmtype=a:int", "softdep=pre: x post: y", "alias=*", "intree=Y"},
                         .versions = {{"module_layout", 1}, {"kfree", 2}},
                         .comment = "GCC"}),
      test::tiny_object({{"__version_ext_crcs", SHT_PROGBITS, crcs}, {"__version_ext_names", SHT_PROGBITS, names}})};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(elf, driverext::fuzz::run, driverext::fuzz::seeds)
