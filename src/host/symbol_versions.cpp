#include "host/symbol_versions.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <functional>
#include <vector>

#include "host/host_files.hpp"
#include "modules/module_compression.hpp"

namespace driverext {
namespace {

// KSYM_NAME_LEN, with room.
constexpr size_t kMaxSymbol = 1024;

struct Line {
  std::string_view symbol;
  uint32_t crc = 0;
};

// "0x" and eight digits, as scripts/mod/modpost.c writes it.
std::optional<uint32_t> crc_of(std::string_view text) {
  constexpr size_t kLength = 10;
  if (text.size() != kLength || !text.starts_with("0x")) return {};
  uint32_t crc = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + 2, end, crc, 16);
  if (error != std::errc() || stopped != end) return {};
  return crc;
}

std::string_view take_field(std::string_view& line) {
  const size_t tab = line.find('\t');
  const std::string_view field = line.substr(0, tab);
  line = tab == std::string_view::npos ? std::string_view() : line.substr(tab + 1);
  return field;
}

bool is_symbol(std::string_view name) {
  return !name.empty() && name.size() <= kMaxSymbol &&
         std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

// Four fields, and since Linux 5.4 the namespace behind them (which can be empty).
std::optional<Line> parse_line(std::string_view line) {
  const auto crc = crc_of(take_field(line));
  const std::string_view symbol = take_field(line);
  const std::string_view module = take_field(line);
  if (!crc || !is_symbol(symbol) || module.empty()) return {};
  if (!take_field(line).starts_with("EXPORT_") || line.find('\t') != std::string_view::npos) return {};
  return Line{symbol, *crc};
}

Result<std::string> plain_text(std::string text, const std::string& name) {
  const Compression compression = compression_of(as_bytes(text));
  if (compression == Compression::none) return text;
  TRY(const OwnedBytes plain, decompress(as_bytes(text), compression, kMaxSymbolVersions).with_context(name));
  return std::string(as_text(plain.span()));
}

// Fedora's place first: it belongs to the kernel itself, while headers can be another build's.
std::vector<std::string> places(const std::string& release) {
  std::vector<std::string> names;
  for (const char* name : {"symvers.gz", "symvers.xz", "symvers.zst", "symvers", "Module.symvers"}) {
    for (std::string& place : beside_modules(release, name)) names.push_back(std::move(place));
  }
  for (const char* suffix : {".gz", ".xz", ".zst", ""}) names.push_back("boot/symvers-" + release + suffix);
  for (std::string& place : beside_modules(release, "build/Module.symvers")) names.push_back(std::move(place));
  names.push_back("usr/src/linux-headers-" + release + "/Module.symvers");
  names.push_back("usr/src/kernels/" + release + "/Module.symvers");
  return names;
}

}  // namespace

Result<SymbolVersions> SymbolVersions::parse(std::string text, std::string source) {
  // A line has 70 bytes on the average of a distribution's kernel; half of the slots stay free.
  constexpr size_t kTextOfASlot = 32;
  SymbolVersions versions;
  versions.source_ = std::move(source);
  versions.text_ = std::make_unique<const std::string>(std::move(text));
  versions.make_room(std::bit_ceil(versions.text_->size() / kTextOfASlot + 1));
  std::string_view rest = *versions.text_;
  size_t number = 0;
  const auto wrong = [&](const std::string& what) {
    return make_error(Errc::invalid_input, "line " + std::to_string(number) + " of " + versions.source_ + " " + what);
  };
  while (!rest.empty()) {
    ++number;
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return wrong("is cut off");
    const std::optional<Line> line = parse_line(rest.substr(0, end));
    if (!line) return wrong("is not a symbol with its CRC, module and kind of export");
    Entry& entry = versions.slots_[versions.slot_of(line->symbol)];
    if (entry.symbol.empty()) {
      entry = {line->symbol, line->crc};
      if (++versions.count_ > versions.slots_.size() / 4 * 3) versions.make_room(versions.slots_.size() * 2);
    } else if (entry.crc != line->crc) {
      return wrong("has another CRC of symbol " + std::string(line->symbol) + " than a line before it");
    }
    rest.remove_prefix(end + 1);
  }
  // No kernel exports nothing; a file that was cut off at its beginning would refuse every module.
  if (number == 0) return make_error(Errc::invalid_input, versions.source_ + " is empty");
  return versions;
}

void SymbolVersions::make_room(size_t slots) {
  constexpr size_t kFewest = 16;
  std::vector<Entry> before(std::max(slots, kFewest));
  before.swap(slots_);
  for (const Entry& entry : before) {
    if (!entry.symbol.empty()) slots_[slot_of(entry.symbol)] = entry;
  }
}

size_t SymbolVersions::slot_of(std::string_view symbol) const {
  size_t slot = std::hash<std::string_view>()(symbol) & (slots_.size() - 1);
  while (!slots_[slot].symbol.empty() && slots_[slot].symbol != symbol) slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

std::optional<uint32_t> SymbolVersions::find(std::string_view symbol) const {
  // One that was moved from has no slots.
  if (symbol.empty() || slots_.empty()) return {};
  const Entry& entry = slots_[slot_of(symbol)];
  if (entry.symbol.empty()) return {};
  return entry.crc;
}

std::optional<ExportedSymbol> SymbolVersions::find_export(std::string_view symbol) const {
  if (symbol.empty() || slots_.empty()) return {};
  const Entry& entry = slots_[slot_of(symbol)];
  if (entry.symbol.empty()) return {};
  // The entry's name lies in the text; the rest of its line follows.
  const auto begin = static_cast<size_t>(entry.symbol.data() - text_->data()) + entry.symbol.size();
  std::string_view rest = std::string_view(*text_).substr(begin, text_->find('\n', begin) - begin);
  const auto next = [&]() -> std::string_view {
    if (rest.empty()) return {};
    rest.remove_prefix(1);  // the tab
    const std::string_view field = rest.substr(0, rest.find('\t'));
    rest.remove_prefix(field.size());
    return field;
  };
  ExportedSymbol found;
  found.crc = entry.crc;
  found.module = next();
  found.kind = next();
  found.symbol_namespace = next();
  return found;
}

Result<std::shared_ptr<const SymbolVersions>> read_symbol_versions(const Dir& root, const std::string& kernel_release) {
  for (const std::string& name : places(kernel_release)) {
    TRY(std::optional<std::string> text, root.read_if_there(name, kMaxSymbolVersions));
    if (!text) continue;
    TRY(std::string plain, plain_text(*std::move(text), root.path_of(name)));
    TRY(SymbolVersions versions, SymbolVersions::parse(std::move(plain), root.path_of(name)));
    return std::shared_ptr<const SymbolVersions>(std::make_shared<SymbolVersions>(std::move(versions)));
  }
  return std::shared_ptr<const SymbolVersions>();
}

}  // namespace driverext
