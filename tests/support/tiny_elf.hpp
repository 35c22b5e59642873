// A 64-bit ELF file with one section of notes: as little as a build id needs. And one that passes for a kernel module.
#pragma once

#include <elf.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  std::vector<std::string> info{};                           ///< more "key=value"
  std::vector<std::pair<std::string, uint32_t>> versions{};  ///< symbols and their CRCs
  std::string comment{};                                     ///< content of .comment
};

struct TinySection {
  std::string name;
  uint32_t type = SHT_PROGBITS;
  std::string content;
};

/// A relocatable file with these sections, and their names in a last one.
inline std::string tiny_object(std::vector<TinySection> sections) {
  sections.insert(sections.begin(), TinySection{"", SHT_NULL, ""});
  sections.push_back({".shstrtab", SHT_STRTAB, ""});
  std::string names;
  for (const TinySection& section : sections) names += section.name + '\0';
  sections.back().content = names;

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
  header.e_shnum = static_cast<Elf64_Half>(sections.size());
  header.e_shstrndx = static_cast<Elf64_Half>(sections.size() - 1);
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  uint64_t offset = sizeof(header) + sections.size() * sizeof(Elf64_Shdr);
  size_t name = 0;
  for (const TinySection& each : sections) {
    Elf64_Shdr section{};
    section.sh_name = static_cast<Elf64_Word>(name);
    section.sh_type = each.type;
    section.sh_offset = offset;
    section.sh_size = each.content.size();
    file.append(reinterpret_cast<const char*>(&section), sizeof(section));
    offset += each.content.size();
    name += each.name.size() + 1;
  }
  for (const TinySection& each : sections) file += each.content;
  return file;
}

/// struct modversion_info of each symbol.
inline std::string version_table(const std::vector<std::pair<std::string, uint32_t>>& versions) {
  std::string table;
  for (const auto& [symbol, crc] : versions) {
    const uint64_t wide = crc;
    std::string entry(reinterpret_cast<const char*>(&wide), sizeof(wide));
    entry += symbol;
    entry.resize(64, '\0');
    table += entry;
  }
  return table;
}

/// What modinfo(8) reads of a module, and nothing that a kernel could run.
inline std::string tiny_module(const TinyModule& module) {
  std::string info;
  for (const std::string& entry : {"name=" + module.name, "vermagic=" + module.vermagic, "license=" + module.license,
                                   "depends=" + module.depends}) {
    info += entry + '\0';
  }
  for (const std::string& entry : module.info) info += entry + '\0';
  std::vector<TinySection> sections = {
      {".note.gnu.build-id", SHT_NOTE,
       module.build_id.empty() ? "" : elf_note("GNU", NT_GNU_BUILD_ID, module.build_id)},
      {".modinfo", SHT_PROGBITS, info}};
  if (!module.versions.empty()) sections.push_back({"__versions", SHT_PROGBITS, version_table(module.versions)});
  if (!module.comment.empty()) sections.push_back({".comment", SHT_PROGBITS, module.comment});
  return tiny_object(std::move(sections));
}

}  // namespace driverext::test
