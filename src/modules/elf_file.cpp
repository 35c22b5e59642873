#include "modules/elf_file.hpp"

#include <algorithm>
#include <cstring>

namespace driverext {
namespace {

constexpr size_t kMaxNames = size_t{4} << 20;
constexpr size_t kMaxNotes = size_t{1} << 20;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ELF structures are copied as they stand in the file");

Error not_elf() { return make_error(Errc::invalid_input, "not a 64-bit little-endian ELF file"); }

std::string build_id_of_notes(std::string_view notes) {
  uint64_t offset = 0;
  Elf64_Nhdr note{};
  while (notes.size() - offset >= sizeof(note)) {
    std::memcpy(&note, notes.data() + offset, sizeof(note));
    const uint64_t name = offset + sizeof(note);
    const uint64_t id = name + round_up(note.n_namesz, 4);
    const uint64_t next = id + round_up(note.n_descsz, 4);
    if (next > notes.size()) break;
    if (note.n_type == NT_GNU_BUILD_ID && notes.substr(name, note.n_namesz) == std::string_view("GNU\0", 4)) {
      return to_hex(as_bytes(notes.substr(id, note.n_descsz)));
    }
    offset = next;
  }
  return {};
}

}  // namespace

Result<ElfFile> ElfFile::open(uint64_t size, Reader read) {
  ElfFile file(size, std::move(read));
  Elf64_Ehdr header{};
  if (size < sizeof(header)) return not_elf();
  TRY_VOID(file.read_(0, std::as_writable_bytes(std::span(&header, 1))));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_shentsize != sizeof(Elf64_Shdr)) {
    return not_elf();
  }
  file.type_ = header.e_type;
  file.machine_ = header.e_machine;
  if (header.e_shoff > size || size - header.e_shoff < header.e_shnum * sizeof(Elf64_Shdr)) {
    return make_error(Errc::invalid_input, "the ELF section table lies outside the file");
  }
  file.sections_.resize(header.e_shnum);
  TRY_VOID(file.read_(header.e_shoff, std::as_writable_bytes(std::span(file.sections_))));
  if (header.e_shstrndx == SHN_UNDEF) return file;
  if (header.e_shstrndx >= header.e_shnum) {
    return make_error(Errc::invalid_input, "the ELF section of names is not in the section table");
  }
  TRY(file.names_, file.content(file.sections_[header.e_shstrndx], kMaxNames));
  return file;
}

Result<ElfFile> ElfFile::of_bytes(ByteSpan bytes) {
  return open(bytes.size(), [bytes](uint64_t offset, std::span<std::byte> into) -> Result<void> {
    const ByteSpan from = bytes.subspan(offset, into.size());
    std::copy(from.begin(), from.end(), into.begin());
    return {};
  });
}

Result<std::string> ElfFile::machine() const {
  if (machine_ == EM_X86_64) return std::string("x86_64");
  if (machine_ == EM_AARCH64) return std::string("aarch64");
  return make_error(Errc::unsupported, "built for a machine that is neither x86_64 nor aarch64");
}

Result<std::optional<std::string>> ElfFile::section(std::string_view name, size_t max_size) const {
  for (const Elf64_Shdr& section : sections_) {
    if (name_of(section) != name) continue;
    TRY(std::string found, content(section, max_size).with_context("section " + std::string(name)));
    return std::optional(std::move(found));
  }
  return std::optional<std::string>();
}

Result<std::string> ElfFile::build_id() const {
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != SHT_NOTE) continue;
    TRY(const std::string notes, content(section, kMaxNotes));
    std::string id = build_id_of_notes(notes);
    if (!id.empty()) return id;
  }
  return std::string();
}

Result<std::string> ElfFile::content(const Elf64_Shdr& section, size_t max_size) const {
  if (section.sh_type == SHT_NOBITS) return std::string();  // has a size, but no bytes in the file
  if (section.sh_offset > size_ || size_ - section.sh_offset < section.sh_size) {
    return make_error(Errc::invalid_input, "an ELF section lies outside the file");
  }
  if (section.sh_size > max_size) {
    return make_error(Errc::invalid_input, "an ELF section of " + std::to_string(section.sh_size) + " bytes; at most " +
                                               std::to_string(max_size) + " are accepted");
  }
  std::string bytes(section.sh_size, '\0');
  TRY_VOID(read_(section.sh_offset, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

std::string_view ElfFile::name_of(const Elf64_Shdr& section) const {
  if (section.sh_name >= names_.size()) return {};
  const std::string_view rest = std::string_view(names_).substr(section.sh_name);
  return rest.substr(0, rest.find('\0'));
}

}  // namespace driverext
