// A 64-bit ELF file with one section of notes: as little as a build id needs. And one that passes for a kernel module.
#pragma once

#include <elf.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace driverext::test {

struct TinyElf {
  std::string_view note_name = "GNU";
  uint32_t note_type = NT_GNU_BUILD_ID;
  uint32_t section_type = SHT_NOTE;
  int notes_before = 0;
};

inline std::string elf_note(std::string_view name, uint32_t type, std::string_view content) {
  const Elf64_Nhdr head{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(content.size()), type};
  std::string note(reinterpret_cast<const char*>(&head), sizeof(head));
  note.append(name).append(4 - name.size() % 4, '\0');  // its NUL, and up to a multiple of four
  return note.append(content).append((4 - content.size() % 4) % 4, '\0');
}

inline std::string tiny_elf(std::string_view build_id, const TinyElf& shape = {}) {
  std::string notes;
  for (int i = 0; i < shape.notes_before; ++i) notes += elf_note("Linux", 0x100, "abcde");
  notes += elf_note(shape.note_name, shape.note_type, build_id);
  Elf64_Ehdr header{};
  std::string_view(ELFMAG, SELFMAG).copy(reinterpret_cast<char*>(header.e_ident), SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_REL;
  header.e_shoff = sizeof(header);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 1;
  Elf64_Shdr section{};
  section.sh_type = shape.section_type;
  section.sh_offset = sizeof(header) + sizeof(section);
  section.sh_size = notes.size();
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) +
         std::string(reinterpret_cast<const char*>(&section), sizeof(section)) + notes;
}

struct TinyModule {
  std::string name = "testcam";
  std::string vermagic = "6.12.1-test SMP preempt mod_unload modversions ";
  std::string license = "GPL";
  std::string depends{};  ///< names, with commas between them
  std::string build_id = "0123456789abcdef0123";
};

/// What modinfo(8) reads of a module, and nothing that a kernel could run.
inline std::string tiny_module(const TinyModule& module) {
  std::string info;
  for (const std::string& entry : {"name=" + module.name, "vermagic=" + module.vermagic, "license=" + module.license,
                                   "depends=" + module.depends}) {
    info += entry + '\0';
  }
  const std::string names("\0.note.gnu.build-id\0.modinfo\0.shstrtab\0", 39);
  const std::string contents[] = {"", elf_note("GNU", NT_GNU_BUILD_ID, module.build_id), info, names};
  const uint32_t types[] = {SHT_NULL, SHT_NOTE, SHT_PROGBITS, SHT_STRTAB};
  const uint32_t name_offsets[] = {0, 1, 20, 29};
  Elf64_Ehdr header{};
  std::string_view(ELFMAG, SELFMAG).copy(reinterpret_cast<char*>(header.e_ident), SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(header);
  header.e_shoff = sizeof(header);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 4;
  header.e_shstrndx = 3;
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  uint64_t offset = sizeof(header) + 4 * sizeof(Elf64_Shdr);
  for (int i = 0; i < 4; ++i) {
    Elf64_Shdr section{};
    section.sh_name = name_offsets[i];
    section.sh_type = types[i];
    section.sh_offset = offset;
    section.sh_size = contents[i].size();
    file.append(reinterpret_cast<const char*>(&section), sizeof(section));
    offset += contents[i].size();
  }
  for (const std::string& content : contents) file += content;
  return file;
}

}  // namespace driverext::test
