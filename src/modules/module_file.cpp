#include "modules/module_file.hpp"

#include <elf.h>
#include <libkmod.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxModuleSize = size_t{1} << 30;

struct UnrefContext {
  void operator()(kmod_ctx* context) const { kmod_unref(context); }
};
struct UnrefModule {
  void operator()(kmod_module* module) const { kmod_module_unref(module); }
};
struct FreeInfo {
  void operator()(kmod_list* list) const { kmod_module_info_free_list(list); }
};

void discard_log(void* /*data*/, int /*priority*/, const char* /*file*/, int /*line*/, const char* /*function*/,
                 const char* /*format*/, va_list /*arguments*/) {}

// A structure at `offset`, if it lies inside. Copied: nothing says that it is aligned.
template <class T>
bool read_at(std::string_view bytes, uint64_t offset, T& out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(&out, bytes.data() + offset, sizeof(T));
  return true;
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
  static const char* const kNoConfiguration = nullptr;
  const std::unique_ptr<kmod_ctx, UnrefContext> context(kmod_new(nullptr, &kNoConfiguration));
  if (!context) return os_failure(ENOMEM, "cannot start libkmod");
  kmod_set_log_fn(context.get(), discard_log, nullptr);
  kmod_module* raw_module = nullptr;
  if (const int code = kmod_module_new_from_path(context.get(), path.c_str(), &raw_module); code != 0) {
    return os_failure(-code, "cannot open module " + path);
  }
  const std::unique_ptr<kmod_module, UnrefModule> module(raw_module);
  kmod_list* raw_info = nullptr;
  if (const int code = kmod_module_get_info(module.get(), &raw_info); code < 0) {
    return make_error(Errc::invalid_input, path + " is not a kernel module");
  }
  const std::unique_ptr<kmod_list, FreeInfo> list(raw_info);

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
  const Result<Dir> here = Dir::open_root("/");
  if (!here) return here.error();
  std::unique_ptr<char, decltype(&::free)> absolute(::realpath(path.c_str(), nullptr), &::free);
  if (!absolute) return os_failure(errno, "cannot open module " + path);
  TRY(const std::string bytes, here->read_file(absolute.get(), kMaxModuleSize));
  TRY(info.build_id, elf_build_id(bytes).with_context(path));
  return info;
}

}  // namespace driverext
