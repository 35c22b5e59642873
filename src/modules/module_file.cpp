#include "modules/module_file.hpp"

#include <elf.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "sys/dir.hpp"
#include "sys/kmod.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxModuleSize = size_t{1} << 30;

// A structure at `offset`, if it lies inside. Copied: nothing says that it is aligned.
template <class T>
bool read_at(std::string_view bytes, uint64_t offset, T& out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(&out, bytes.data() + offset, sizeof(T));
  return true;
}

// libkmod 30 ends the program on an ELF file whose header names no section of names.
bool has_section_names(std::string_view elf) {
  Elf64_Ehdr header{};
  return read_at(elf, 0, header) && header.e_shstrndx != SHN_UNDEF && header.e_shstrndx < header.e_shnum;
}

std::string build_id_of_notes(std::string_view notes) {
  uint64_t offset = 0;
  Elf64_Nhdr note{};
  while (read_at(notes, offset, note)) {
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

std::string ModuleInfo::kernel_release() const { return vermagic.substr(0, vermagic.find(' ')); }

Result<std::string> elf_machine(std::string_view elf) {
  Elf64_Ehdr header{};
  if (!read_at(elf, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return make_error(Errc::invalid_input, "not an ELF file");
  }
  if (header.e_machine == EM_X86_64) return std::string("x86_64");
  if (header.e_machine == EM_AARCH64) return std::string("aarch64");
  return make_error(Errc::unsupported, "built for a machine that is neither x86_64 nor aarch64");
}

Result<std::string> elf_build_id(std::string_view elf) {
  Elf64_Ehdr header{};
  if (!read_at(elf, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_shentsize != sizeof(Elf64_Shdr)) {
    return make_error(Errc::invalid_input, "not a 64-bit little-endian ELF file");
  }
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section{};
    if (!read_at(elf, header.e_shoff + i * sizeof(section), section)) {
      return make_error(Errc::invalid_input, "the ELF section table lies outside the file");
    }
    if (section.sh_type != SHT_NOTE) continue;
    if (section.sh_offset > elf.size() || elf.size() - section.sh_offset < section.sh_size) {
      return make_error(Errc::invalid_input, "an ELF section lies outside the file");
    }
    std::string id = build_id_of_notes(elf.substr(section.sh_offset, section.sh_size));
    if (!id.empty()) return id;
  }
  return std::string();
}

Result<ModuleInfo> read_module_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return os_failure(errno, "cannot open module " + path);
  TRY(const std::string bytes, read_fd(file.get(), kMaxModuleSize, path));
  if (!has_section_names(bytes)) return make_error(Errc::invalid_input, path + " is not a kernel module");

  TRY(const kmod::Context context, kmod::open(nullptr));
  TRY(const kmod::Module module, kmod::module_of_file(context, path));
  kmod_list* raw_info = nullptr;
  if (const int code = kmod_module_get_info(module.get(), &raw_info); code < 0) {
    return make_error(Errc::invalid_input, path + " is not a kernel module");
  }
  const kmod::InfoList list(raw_info);

  ModuleInfo info;
  kmod_list* entry = nullptr;
  kmod_list_foreach(entry, list.get()) {
    const std::string_view key = kmod_module_info_get_key(entry);
    const std::string value = kmod_module_info_get_value(entry);
    if (key == "name") info.name = module_name_form(value);
    if (key == "vermagic") info.vermagic = trim(value);
    if (key == "license") info.license = value;
    if (key == "depends" && !value.empty()) {
      for (const std::string& name : split(value, ',')) info.depends.push_back(module_name_form(name));
    }
  }
  if (info.name.empty() || info.vermagic.empty()) {
    return make_error(Errc::invalid_input, path + " is not a kernel module: no name or vermagic in it");
  }
  TRY(info.build_id, elf_build_id(bytes).with_context(path));
  TRY(info.machine, elf_machine(bytes).with_context(path));
  return info;
}

}  // namespace driverext
