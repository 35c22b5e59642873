// What the dynamic linker reads of a library.
#include "userland/elf_dynamic.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto elf = read_elf_dynamic([&](uint64_t offset, std::span<std::byte> into) {
    if (offset > input.size() || input.size() - offset < into.size()) return false;
    input.copy(reinterpret_cast<char*>(into.data()), into.size(), offset);
    return true;
  });
  if (!elf) return;
  require(elf->soname.size() < input.size() && elf->soname.find('\0') == std::string::npos);
}

template <class Header, class Segment, class Dynamic>
std::string library(unsigned char elf_class) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof(Header);
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = 2;
  const std::string names("\0libx.so.1\0libc.so.6\0", 21);
  constexpr size_t kDynamic = sizeof(Header) + 2 * sizeof(Segment);
  constexpr size_t kNames = kDynamic + 5 * sizeof(Dynamic);
  Segment load{};
  load.p_type = PT_LOAD;
  load.p_filesz = static_cast<decltype(load.p_filesz)>(kNames + names.size());
  Segment dynamic{};
  dynamic.p_type = PT_DYNAMIC;
  dynamic.p_offset = kDynamic;
  dynamic.p_filesz = 5 * sizeof(Dynamic);
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  file.append(reinterpret_cast<const char*>(&load), sizeof(load));
  file.append(reinterpret_cast<const char*>(&dynamic), sizeof(dynamic));
  for (const auto& [tag, value] : {std::pair<int, size_t>{DT_SONAME, 1},
                                   {DT_NEEDED, 11},
                                   {DT_STRTAB, kNames},
                                   {DT_STRSZ, names.size()},
                                   {DT_NULL, 0}}) {
    Dynamic entry{};
    entry.d_tag = tag;
    entry.d_un.d_val = static_cast<decltype(entry.d_un.d_val)>(value);
    file.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  }
  return file + names;
}

std::vector<std::string> seeds() {
  return {library<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(ELFCLASS64),
          library<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>(ELFCLASS32)};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(elf_dynamic, driverext::fuzz::run, driverext::fuzz::seeds)
