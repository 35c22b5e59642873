#include "modules/module_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/text.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxInfo = size_t{4} << 20;
constexpr size_t kMaxVersions = size_t{16} << 20;
constexpr size_t kMaxSymbolNames = size_t{64} << 20;
constexpr size_t kMaxComment = size_t{1} << 20;

// struct modversion_info: unsigned long crc; char name[64 - sizeof(unsigned long)].
constexpr size_t kVersionEntry = 64;
constexpr size_t kVersionName = 8;

using Imports = std::map<std::string, uint32_t>;

// The strings of a section, without the zero bytes that fill it up.
std::vector<std::string_view> strings_of(std::string_view section) {
  std::vector<std::string_view> strings;
  while (!section.empty()) {
    const size_t end = std::min(section.find('\0'), section.size());
    if (end != 0) strings.push_back(section.substr(0, end));
    section.remove_prefix(std::min(end + 1, section.size()));
  }
  return strings;
}

// A parameter's type and its description are entries of their own.
class Parameters {
 public:
  void set(std::string ModuleParameter::*member, std::string_view value) {
    const size_t colon = value.find(':');
    if (colon == std::string_view::npos) return;
    const std::string name(value.substr(0, colon));
    const auto [place, is_new] = places_.emplace(name, list_.size());
    if (is_new) list_.push_back({name, "", ""});
    list_[place->second].*member = value.substr(colon + 1);
  }
  std::vector<ModuleParameter> take() && { return std::move(list_); }

 private:
  std::vector<ModuleParameter> list_;
  std::map<std::string, size_t> places_;
};

// "pre: a b post: c"
void add_softdeps(ModuleInfo& info, const std::string& value) {
  std::vector<std::string>* names = nullptr;
  for (const std::string& word : split(value, ' ')) {
    if (word == "pre:") {
      names = &info.softdeps_pre;
    } else if (word == "post:") {
      names = &info.softdeps_post;
    } else if (!word.empty() && names != nullptr) {
      names->push_back(word);
    }
  }
}

void add_info(ModuleInfo& info, Parameters& parameters, std::string_view key, const std::string& value) {
  if (key == "name") {
    info.name = module_name_form(value);
  } else if (key == "version") {
    info.version = value;
  } else if (key == "srcversion") {
    info.srcversion = value;
  } else if (key == "license") {
    info.license = value;
  } else if (key == "vermagic") {
    info.vermagic = trim(value);
  } else if (key == "depends") {
    for (const std::string& name : split(value, ',')) {
      if (!name.empty()) info.depends.push_back(module_name_form(name));
    }
  } else if (key == "softdep") {
    add_softdeps(info, value);
  } else if (key == "alias") {
    info.aliases.push_back(value);
  } else if (key == "firmware") {
    info.firmware.push_back(value);
  } else if (key == "import_ns") {
    info.import_namespaces.push_back(value);
  } else if (key == "parm") {
    parameters.set(&ModuleParameter::description, value);
  } else if (key == "parmtype") {
    parameters.set(&ModuleParameter::type, value);
  } else if (key == "intree") {
    info.intree = value == "Y";
  } else if (key == "retpoline") {
    info.retpoline = value == "Y";
  }
}

Result<void> add_import(Imports& imports, std::string_view name, uint64_t crc) {
  if (name.empty() || crc > UINT32_MAX) {
    return make_error(Errc::invalid_input, "the module's table of symbol versions is damaged");
  }
  const auto [entry, is_new] = imports.emplace(name, static_cast<uint32_t>(crc));
  if (!is_new && entry->second != crc) {
    return make_error(Errc::invalid_input, "the module has two versions of symbol " + entry->first);
  }
  return {};
}

Result<void> add_basic_versions(const ElfFile& elf, Imports& imports) {
  TRY(const auto section, elf.section("__versions", kMaxVersions));
  if (!section) return {};
  if (section->size() % kVersionEntry != 0) {
    return make_error(Errc::invalid_input, "the module's table of symbol versions is cut off");
  }
  for (size_t offset = 0; offset < section->size(); offset += kVersionEntry) {
    const std::string_view entry = std::string_view(*section).substr(offset, kVersionEntry);
    const std::string_view name = entry.substr(kVersionName);
    const size_t end = name.find('\0');
    if (end == std::string_view::npos) {
      return make_error(Errc::invalid_input, "a symbol's name in the module's table of versions has no end");
    }
    TRY_VOID(add_import(imports, name.substr(0, end), load_le<uint64_t>(as_bytes(entry), 0)));
  }
  return {};
}

// Names of any length: Rust's do not fit into the table above.
Result<void> add_extended_versions(const ElfFile& elf, Imports& imports) {
  TRY(const auto crcs, elf.section("__version_ext_crcs", kMaxVersions));
  TRY(const auto names, elf.section("__version_ext_names", kMaxVersions));
  if (!crcs && !names) return {};
  const std::string text = names.value_or("");
  const std::vector<std::string_view> list = strings_of(text);
  if (!crcs || crcs->size() != list.size() * sizeof(uint32_t)) {
    return make_error(Errc::invalid_input, "the module's extended table of symbol versions is damaged");
  }
  for (size_t i = 0; i < list.size(); ++i) {
    TRY_VOID(add_import(imports, list[i], load_le<uint32_t>(as_bytes(*crcs), i * sizeof(uint32_t))));
  }
  return {};
}

struct OpenFile {
  UniqueFd fd;
  uint64_t size = 0;
  Compression compression = Compression::none;
};

Result<OpenFile> open_file(const std::string& path) {
  OpenFile file;
  file.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.fd) return os_failure(errno, "cannot open module " + path);
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0) return os_failure(errno, "cannot look at module " + path);
  if (!S_ISREG(status.st_mode)) return make_error(Errc::invalid_input, path + " is not a file");
  file.size = static_cast<uint64_t>(status.st_size);
  if (file.size > kMaxModuleFile) {
    return make_error(Errc::invalid_input,
                      path + " is larger than the " + human_size(kMaxModuleFile) + " that are accepted");
  }
  std::array<std::byte, 8> head{};
  const auto there = std::span(head).first(std::min<uint64_t>(file.size, head.size()));
  TRY_VOID(read_exactly(file.fd.get(), there, 0, path));
  file.compression = compression_of(there);
  return file;
}

Result<PlainModule> load(const OpenFile& file, const std::string& path) {
  OwnedBytes bytes{std::make_unique_for_overwrite<std::byte[]>(file.size), file.size};
  TRY_VOID(read_exactly(file.fd.get(), {bytes.data.get(), bytes.size}, 0, path));
  if (file.compression == Compression::none) return PlainModule{std::move(bytes), file.compression};
  TRY(OwnedBytes plain, decompress(bytes.span(), file.compression, kMaxDecompressed).with_context(path));
  return PlainModule{std::move(plain), file.compression};
}

}  // namespace

std::string ModuleInfo::kernel_release() const { return vermagic.substr(0, vermagic.find(' ')); }

Result<ModuleInfo> read_module_info(const ElfFile& elf) {
  TRY(const auto section, elf.section(".modinfo", kMaxInfo));
  if (!elf.is_relocatable() || !section) {
    return make_error(Errc::invalid_input, "not a kernel module: no .modinfo section in a relocatable file");
  }
  ModuleInfo info;
  Parameters parameters;
  for (const std::string_view entry : strings_of(*section)) {
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    add_info(info, parameters, entry.substr(0, equals), std::string(entry.substr(equals + 1)));
  }
  info.parameters = std::move(parameters).take();
  if (info.name.empty() || info.vermagic.empty()) {
    return make_error(Errc::invalid_input, "not a kernel module: no name or vermagic in it");
  }
  TRY(info.build_id, elf.build_id());
  TRY(info.machine, elf.machine());
  TRY(const auto comment, elf.section(".comment", kMaxComment));
  // One for each object file that was linked.
  std::set<std::string_view> seen;
  const std::string words = comment.value_or("");
  for (const std::string_view compiler : strings_of(words)) {
    if (seen.insert(compiler).second) info.toolchain.emplace_back(compiler);
  }
  return info;
}

Result<Imports> read_imports(const ElfFile& elf) {
  Imports imports;
  TRY_VOID(add_basic_versions(elf, imports));
  TRY_VOID(add_extended_versions(elf, imports));
  return imports;
}

// include/linux/export.h: each has an entry of this name in the kernel's table of symbols.
Result<std::vector<std::string>> read_exports(const ElfFile& elf) {
  constexpr std::string_view kEntry = "__ksymtab_";
  std::set<std::string> names;
  TRY(const auto symbols, elf.section(".strtab", kMaxSymbolNames));
  const std::string text = symbols.value_or("");
  for (const std::string_view name : strings_of(text)) {
    if (name.starts_with(kEntry) && name.size() > kEntry.size()) names.emplace(name.substr(kEntry.size()));
  }
  // One that was stripped of its symbols: here namespaces stand among the names, and do no harm.
  if (names.empty()) {
    TRY(const auto strings, elf.section("__ksymtab_strings", kMaxVersions));
    const std::string list = strings.value_or("");
    for (const std::string_view name : strings_of(list)) names.emplace(name);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<ModuleInfo> read_module_file(const std::string& path) {
  TRY(const OpenFile file, open_file(path));
  if (file.compression != Compression::none) {
    TRY(const PlainModule module, load(file, path));
    TRY(const ElfFile elf, ElfFile::of_bytes(module.content.span()).with_context(path));
    return read_module_info(elf).with_context(path);
  }
  const auto read = [&](uint64_t offset, std::span<std::byte> into) {
    return read_exactly(file.fd.get(), into, offset, path);
  };
  TRY(const ElfFile elf, ElfFile::open(file.size, read).with_context(path));
  return read_module_info(elf).with_context(path);
}

Result<PlainModule> load_module_file(const std::string& path) {
  TRY(const OpenFile file, open_file(path));
  return load(file, path);
}

}  // namespace driverext
