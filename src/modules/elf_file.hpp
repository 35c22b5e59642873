// ELF files (elf(5)), 64-bit and little-endian, read section by section: what nobody asks for is never touched.
//
// The bytes come from anywhere, so every offset and size is checked against the file's before it is used.
#pragma once

#include <elf.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

class ElfFile {
 public:
  /// Fills the span from `offset` on. Asked only for what lies inside the file.
  using Reader = std::function<Result<void>(uint64_t offset, std::span<std::byte> into)>;

  /// Reads header, section table and section names. Errors: Errc::invalid_input if it is not such a file.
  static Result<ElfFile> open(uint64_t size, Reader read);
  /// The same over bytes that outlive the object.
  static Result<ElfFile> of_bytes(ByteSpan bytes);

  /// Not linked to an address: object files, and so kernel modules.
  [[nodiscard]] bool is_relocatable() const { return type_ == ET_REL; }
  /// As uname -m spells it. Errors: Errc::unsupported for others than x86_64 and aarch64.
  [[nodiscard]] Result<std::string> machine() const;
  /// Content of the first section of that name; nothing if there is none. Errors: Errc::invalid_input if it lies
  /// outside the file or is larger than `max_size`.
  [[nodiscard]] Result<std::optional<std::string>> section(std::string_view name, size_t max_size) const;
  /// The GNU build id, hex; empty if it has none.
  [[nodiscard]] Result<std::string> build_id() const;

 private:
  explicit ElfFile(uint64_t size, Reader read) : size_(size), read_(std::move(read)) {}
  [[nodiscard]] Result<std::string> content(const Elf64_Shdr& section, size_t max_size) const;
  [[nodiscard]] std::string_view name_of(const Elf64_Shdr& section) const;

  uint64_t size_;
  Reader read_;
  uint16_t type_ = ET_NONE;
  uint16_t machine_ = EM_NONE;
  std::vector<Elf64_Shdr> sections_;
  std::string names_;
};

}  // namespace driverext
