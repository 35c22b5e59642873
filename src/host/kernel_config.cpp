#include "host/kernel_config.hpp"

#include <algorithm>
#include <optional>

#include "modules/module_compression.hpp"

namespace driverext {
namespace {

constexpr std::string_view kPrefix = "CONFIG_";
constexpr size_t kMaxValue = 4096;

bool is_symbol(std::string_view name) {
  return name.size() > kPrefix.size() && name.size() <= 256 && name.starts_with(kPrefix) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

// Nothing if the quotes do not fit together.
std::optional<std::string> unquoted(std::string_view value) {
  if (!value.starts_with('"')) return std::string(value);
  std::string text;
  for (size_t i = 1; i < value.size(); ++i) {
    if (value[i] == '"') return i + 1 == value.size() ? std::optional(text) : std::nullopt;
    if (value[i] == '\\' && ++i == value.size()) break;
    text += value[i];
  }
  return {};
}

// The first line is a comment, "# Linux/x86 6.12.94 Kernel Configuration"; a file whose name names no release is only
// believed if that fits. The release has more behind the version.
bool is_of_release(std::string_view text, std::string_view release) {
  constexpr std::string_view kTitle = " Kernel Configuration";
  const size_t end = text.find(kTitle);
  if (end == std::string_view::npos || end > 512) return false;
  const size_t begin = text.rfind(' ', end - 1);
  if (end == 0 || begin == std::string_view::npos) return false;
  const std::string_view version = text.substr(begin + 1, end - begin - 1);
  return !version.empty() && release.starts_with(version) &&
         (release.size() == version.size() || release[version.size()] < '0' || release[version.size()] > '9');
}

std::optional<std::string> read_plain(const Dir& root, const std::string& name) {
  auto text = read_fact(root, name, kMaxKernelConfig);
  if (!text) return {};
  const Compression compression = compression_of(as_bytes(*text));
  if (compression == Compression::none) return text;
  const auto plain = decompress(as_bytes(*text), compression, kMaxKernelConfig);
  if (!plain) return {};
  return std::string(as_text(plain->span()));
}

}  // namespace

Result<KernelConfig> parse_kernel_config(std::string_view text) {
  KernelConfig config;
  size_t number = 0;
  const auto wrong = [&](std::string_view what) {
    return make_error(Errc::invalid_input,
                      "line " + std::to_string(number) + " of the kernel's configuration " + std::string(what));
  };
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return wrong("is cut off");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    const size_t equals = std::min(line.find('='), line.size());
    if (equals == line.size() || !is_symbol(line.substr(0, equals))) return wrong("sets nothing");
    const std::string_view raw = line.substr(equals + 1);
    auto value = unquoted(raw);
    if (!value || raw.empty() || raw.size() > kMaxValue || raw.find('\0') != std::string_view::npos) {
      return wrong("has a value that is damaged");
    }
    if (raw == "n") continue;
    if (!config.emplace(line.substr(0, equals), *std::move(value)).second) return wrong("sets something again");
  }
  if (config.empty()) return make_error(Errc::invalid_input, "nothing is set in the kernel's configuration");
  return config;
}

KernelConfig read_kernel_config(const Dir& root, const AskedKernel& kernel) {
  std::vector<std::string> names;
  if (kernel.is_running) names.emplace_back("proc/config.gz");
  for (std::string& name : beside_modules(kernel.release, "config")) names.push_back(std::move(name));
  names.push_back("boot/config-" + kernel.release);
  names.push_back("usr/boot/config-" + kernel.release);
  const std::string of_any_release = "usr/boot/config";
  names.push_back(of_any_release);
  for (std::string& name : beside_modules(kernel.release, "build/.config")) names.push_back(std::move(name));
  for (const std::string& name : names) {
    const auto text = read_plain(root, name);
    if (!text || (name == of_any_release && !is_of_release(*text, kernel.release))) continue;
    if (auto config = parse_kernel_config(*text)) return *std::move(config);
  }
  return {};
}

}  // namespace driverext
