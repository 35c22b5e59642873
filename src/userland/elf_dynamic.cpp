#include "userland/elf_dynamic.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "sys/dir.hpp"

namespace driverext {
namespace {

// Far more than any linker writes.
constexpr size_t kMaxHeaders = 128;
constexpr size_t kMaxDynamic = size_t{64} << 10;
constexpr size_t kMaxName = 256;

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Dynamic = Elf32_Dyn;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Dynamic = Elf64_Dyn;
};

template <class T>
bool read_struct(const ReadAt& read, uint64_t offset, T& into) {
  return read(offset, std::as_writable_bytes(std::span(&into, 1)));
}

std::string machine_name(uint16_t machine) {
  if (machine == EM_X86_64) return "x86_64";
  if (machine == EM_AARCH64) return "aarch64";
  return machine == EM_386 ? "i686" : "";
}

// A name from the table of strings, which lies at `table` in the file.
std::optional<std::string> name_at(const ReadAt& read, uint64_t table, uint64_t table_size, uint64_t index) {
  if (index >= table_size || table > std::numeric_limits<uint64_t>::max() - table_size) return std::nullopt;
  Bytes bytes(std::min<uint64_t>(kMaxName, table_size - index));
  if (!read(table + index, bytes)) return std::nullopt;
  const std::string_view text = as_text(bytes);
  const size_t end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, end));
}

template <class Elf>
class Parser {
 public:
  explicit Parser(const ReadAt& read) : read_(read) {}

  std::optional<ElfDynamic> parse() {
    typename Elf::Header header{};
    if (!read_struct(read_, 0, header) || header.e_phnum > kMaxHeaders) return std::nullopt;
    if (header.e_phnum != 0 && header.e_phentsize != sizeof(typename Elf::Segment)) return std::nullopt;
    segments_.resize(header.e_phnum);
    if (!read_(header.e_phoff, std::as_writable_bytes(std::span(segments_)))) return std::nullopt;
    ElfDynamic found;
    found.machine = machine_name(header.e_machine);
    for (const auto& segment : segments_) {
      if (segment.p_type == PT_DYNAMIC && !read_dynamic(segment, found)) return std::nullopt;
    }
    return found;
  }

 private:
  bool read_dynamic(const typename Elf::Segment& segment, ElfDynamic& found) {
    if (segment.p_filesz > kMaxDynamic) return false;
    std::vector<typename Elf::Dynamic> entries(segment.p_filesz / sizeof(typename Elf::Dynamic));
    if (!read_(segment.p_offset, std::as_writable_bytes(std::span(entries)))) return false;
    uint64_t table = 0;
    uint64_t table_size = 0;
    std::optional<uint64_t> soname;
    for (const auto& entry : entries) {
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_STRTAB) table = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) table_size = entry.d_un.d_val;
      if (entry.d_tag == DT_SONAME) soname = entry.d_un.d_val;
    }
    if (!soname) return true;
    const std::optional<uint64_t> offset = offset_of(table);
    const auto name = offset ? name_at(read_, *offset, table_size, *soname) : std::nullopt;
    if (name) found.soname = *name;
    return name.has_value();
  }

  // Where in the file an address is loaded from.
  std::optional<uint64_t> offset_of(uint64_t address) const {
    for (const auto& segment : segments_) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) {
        continue;
      }
      const uint64_t inside = address - segment.p_vaddr;
      if (segment.p_offset > std::numeric_limits<uint64_t>::max() - inside) return std::nullopt;
      return segment.p_offset + inside;
    }
    return std::nullopt;
  }

  const ReadAt& read_;
  std::vector<typename Elf::Segment> segments_;
};

}  // namespace

std::optional<ElfDynamic> read_elf_dynamic(const ReadAt& read) {
  std::array<std::byte, EI_NIDENT> ident{};
  if (!read(0, ident) || std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (std::to_integer<int>(ident[EI_DATA]) != ELFDATA2LSB) return std::nullopt;
  if (std::to_integer<int>(ident[EI_CLASS]) == ELFCLASS32) return Parser<Elf32>(read).parse();
  if (std::to_integer<int>(ident[EI_CLASS]) != ELFCLASS64) return std::nullopt;
  std::optional<ElfDynamic> found = Parser<Elf64>(read).parse();
  if (found) found->is_64_bit = true;
  return found;
}

std::optional<ElfDynamic> read_elf_dynamic(int fd) {
  return read_elf_dynamic([fd](uint64_t offset, std::span<std::byte> into) {
    constexpr auto kEnd = static_cast<uint64_t>(std::numeric_limits<off_t>::max());
    return offset < kEnd && into.size() < kEnd - offset &&
           static_cast<bool>(read_exactly(fd, into, offset, "ELF file"));
  });
}

}  // namespace driverext
