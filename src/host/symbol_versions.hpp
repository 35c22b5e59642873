// The symbols that a kernel and its modules export, each with the CRC of its type (CONFIG_MODVERSIONS).
//
// Source: Documentation/kbuild/modules.rst, "Symbols From the Kernel (vmlinux + modules)": lines of
// CRC<TAB>Symbol<TAB>Module<TAB>Export Type<TAB>Namespace. Fedora and RHEL ship the file beside the modules, as
// symvers.gz, .xz or .zst; Debian's headers have it as Module.symvers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// No kernel's list is larger, decompressed.
constexpr size_t kMaxSymbolVersions = size_t{64} << 20;

/// What stands in the list behind a symbol's CRC and name. Points into the list.
struct ExportedSymbol {
  uint32_t crc = 0;
  std::string_view module;            ///< "vmlinux", or the path of the module that exports it
  std::string_view kind;              ///< "EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"
  std::string_view symbol_namespace;  ///< mostly empty
};

class SymbolVersions {
 public:
  /// The text of a Module.symvers; `source` is only named in messages. Errors: Errc::invalid_input with the line.
  static Result<SymbolVersions> parse(std::string text, std::string source);

  SymbolVersions(SymbolVersions&&) noexcept = default;
  SymbolVersions& operator=(SymbolVersions&&) noexcept = default;

  /// Nothing if neither kernel nor in-tree module exports it.
  [[nodiscard]] std::optional<uint32_t> find(std::string_view symbol) const;
  [[nodiscard]] std::optional<ExportedSymbol> find_export(std::string_view symbol) const;
  [[nodiscard]] size_t size() const { return count_; }
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  struct Entry {
    std::string_view symbol;  // empty: nothing here
    uint32_t crc = 0;
  };
  SymbolVersions() = default;
  void make_room(size_t slots);
  // The place of a symbol, or where it belongs.
  [[nodiscard]] size_t slot_of(std::string_view symbol) const;

  std::unique_ptr<const std::string> text_;  // what the entries point into
  // Open addressing, a power of two of slots: tens of thousands of symbols are entered to look up a few hundred, so
  // none of them gets a piece of memory of its own.
  std::vector<Entry> slots_;
  size_t count_ = 0;
  std::string source_;
};

/// Of this kernel release, from wherever a distribution keeps them below `root`: beside the modules, in /boot, or with
/// the headers. Nothing if the host does not have them. A compressed one is decompressed. Errors: one that is there and
/// cannot be read or is damaged.
Result<std::shared_ptr<const SymbolVersions>> read_symbol_versions(const Dir& root, const std::string& kernel_release);

}  // namespace driverext
