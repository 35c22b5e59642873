#include "host/module_list.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr std::array<std::string_view, 4> kSuffixes = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};

constexpr size_t kSamples = 32;
constexpr uint64_t kMaxSample = uint64_t{512} << 10;
constexpr size_t kMaxPlainSample = size_t{16} << 20;

bool is_module_path(std::string_view path) {
  return path.size() <= 1024 && std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c != '\x7f'; }) &&
         std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [&](std::string_view suffix) { return path.size() > suffix.size() && path.ends_with(suffix); });
}

std::optional<std::vector<std::string>> read_paths(const Dir& root, const std::string& release, const char* name) {
  const auto text = read_first_fact(root, beside_modules(release, name), kMaxModuleIndex);
  if (!text) return {};
  return parse_module_paths(*text);
}

std::vector<std::string> sorted_names(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  names.reserve(paths.size());
  for (const std::string& path : paths) names.push_back(module_name_of_path(path));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<ModuleInfo> read_small_module(const Dir& root, const std::string& name) {
  const Result<UniqueFd> fd = root.open_file(name, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if (static_cast<uint64_t>(status.st_size) > kMaxSample) return {};
  const Result<std::string> file = read_fd(fd->get(), kMaxSample, name);
  if (!file) return {};
  ByteSpan bytes = as_bytes(*file);
  OwnedBytes plain;
  if (const Compression compression = compression_of(bytes); compression != Compression::none) {
    Result<OwnedBytes> decompressed = decompress(bytes, compression, kMaxPlainSample);
    if (!decompressed) return {};
    plain = *std::move(decompressed);
    bytes = plain.span();
  }
  const Result<ElfFile> elf = ElfFile::of_bytes(bytes);
  if (!elf) return {};
  Result<ModuleInfo> info = read_module_info(*elf);
  if (!info) return {};
  return *std::move(info);
}

// modules.order names files as they were before they were compressed.
std::vector<std::string> spellings(const std::string& path) {
  std::vector<std::string> names = {path};
  if (path.ends_with(kSuffixes.front())) {
    for (const char* suffix : {".xz", ".zst", ".gz"}) names.push_back(path + suffix);
  }
  return names;
}

}  // namespace

std::optional<std::vector<std::string>> parse_module_paths(std::string_view text) {
  if (!text.empty() && text.back() != '\n') return {};  // cut off: what is missing would pass for absent
  std::vector<std::string> paths;
  for (const std::string_view line : lines_of(text)) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::string_view path = line.substr(0, line.find(':'));
    if (!is_module_path(path)) return {};
    paths.emplace_back(path);
  }
  return paths;
}

ModuleLists read_module_lists(const Dir& root, const std::string& kernel_release) {
  ModuleLists lists;
  lists.paths = read_paths(root, kernel_release, "modules.dep");
  if (!lists.paths || lists.paths->empty()) {
    if (auto order = read_paths(root, kernel_release, "modules.order")) lists.paths = std::move(order);
  }
  if (lists.paths) lists.on_host = sorted_names(*lists.paths);
  if (const auto builtin = read_paths(root, kernel_release, "modules.builtin")) lists.builtin = sorted_names(*builtin);
  return lists;
}

std::optional<ModuleInfo> read_sample_module(const Dir& root, const std::string& kernel_release,
                                             const std::vector<std::string>& paths) {
  for (size_t i = 0; i < std::min(paths.size(), kSamples); ++i) {
    for (const std::string& path : spellings(paths[i])) {
      for (const std::string& name : beside_modules(kernel_release, path)) {
        auto info = read_small_module(root, name);
        if (info && info->kernel_release() == kernel_release) return info;
      }
    }
  }
  return {};
}

}  // namespace driverext
