#include "userland/installer_manifest.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.hpp"

namespace driverext {
namespace {

// Lines before the first file: eight or nine so far.
constexpr size_t kMaxHeaderLines = 16;
constexpr size_t kMaxLine = 4096;
constexpr size_t kMaxFiles = 100'000;

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (std::string& word : split(line, ' ')) {
    const std::string_view kept = trim(word);
    if (!kept.empty()) words.emplace_back(kept);
  }
  return words;
}

std::optional<unsigned> octal_mode(std::string_view word) {
  unsigned mode = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), mode, 8);
  const bool fine = (word.size() == 4 || word.size() == 5) && code == std::errc() && end == word.data() + word.size();
  return fine && mode <= 07777 ? std::optional(mode) : std::nullopt;
}

bool is_type(std::string_view word) {
  return !word.empty() && word.size() <= 64 && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_file_line(const std::vector<std::string>& words) {
  return words.size() >= 3 && octal_mode(words[1]) && is_type(words[2]);
}

std::string_view without_slashes(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// PATH without its file name and so many components in front of that.
Result<std::string> inherited_folder(const std::string& path, std::string_view depth) {
  size_t drop = 0;
  const auto [end, code] = std::from_chars(depth.data(), depth.data() + depth.size(), drop);
  const std::vector<std::string> parts = split(path, '/');
  if (depth.empty() || code != std::errc() || end != depth.data() + depth.size() || drop >= parts.size()) {
    return make_error(Errc::invalid_input, "INHERIT_PATH_DEPTH is wrong for " + path);
  }
  std::string folder;
  for (size_t i = drop; i + 1 < parts.size(); ++i) folder += (folder.empty() ? "" : "/") + parts[i];
  return folder;
}

// Takes the last word off, if it is one of these.
bool take_last(std::vector<std::string>& words, std::initializer_list<std::string_view> of) {
  if (words.empty() || std::find(of.begin(), of.end(), words.back()) == of.end()) return false;
  words.pop_back();
  return true;
}

bool take_first(std::vector<std::string>& words, std::string_view word) {
  if (words.empty() || words.front() != word) return false;
  words.erase(words.begin());
  return true;
}

Result<void> take_tags(std::vector<std::string>& words, PackagedFile& file) {
  constexpr std::string_view kModule = "MODULE:";
  if (!words.empty() && words.back().starts_with(kModule)) {
    file.module = words.back().substr(kModule.size());
    TRY_VOID(check_name("part of the driver", file.module));
    words.pop_back();
  }
  if (take_last(words, {"NON_GLVND"})) file.superseded = true;
  (void)take_last(words, {"GLVND"});
  if (take_first(words, "NATIVE")) file.architecture = PackagedArchitecture::native;
  if (take_first(words, "COMPAT32")) file.architecture = PackagedArchitecture::compat32;
  if (take_first(words, "CLASSIC")) file.superseded = true;
  (void)take_first(words, "NEW");
  return {};
}

Result<PackagedFile> parse_file(std::vector<std::string> words) {
  constexpr std::string_view kInherit = "INHERIT_PATH_DEPTH:";
  PackagedFile file;
  file.path = without_slashes(words[0]);
  if (words[0].starts_with('/')) return make_error(Errc::invalid_input, words[0] + " is an absolute path");
  TRY_VOID(check_relative_path("path", file.path));
  file.mode = *octal_mode(words[1]);
  file.type = words[2];
  words.erase(words.begin(), words.begin() + 3);
  TRY_VOID(take_tags(words, file));
  // This one type of link has a folder and no target: that is the unit of the same name.
  if (file.mode == 0 && file.type == "SYSTEMD_UNIT_SYMLINK") words.push_back(file.name());
  if (file.mode == 0) {
    if (words.empty()) return make_error(Errc::invalid_input, "the link " + file.path + " has no target");
    file.target = without_slashes(words.back());
    if (words.back().starts_with('/')) return make_error(Errc::invalid_input, words.back() + " is an absolute path");
    TRY_VOID(check_relative_path("target", file.target));
    words.pop_back();
  }
  if (!words.empty() && words.front().starts_with(kInherit)) {
    TRY(file.folder, inherited_folder(file.path, words.front().substr(kInherit.size())));
    words.erase(words.begin());
  } else if (!words.empty()) {
    file.folder = without_slashes(words.front());
    if (!file.folder.empty()) TRY_VOID(check_relative_path("folder", file.folder));
    words.erase(words.begin());
  }
  if (!words.empty()) return make_error(Errc::invalid_input, "nobody knows what \"" + words.front() + "\" means here");
  return file;
}

}  // namespace

std::string PackagedFile::name() const { return path.substr(path.rfind('/') + 1); }

Result<InstallerManifest> parse_installer_manifest(std::string_view text) {
  if (text.size() > kMaxInstallerManifest) return make_error(Errc::invalid_input, "the manifest is too long");
  InstallerManifest manifest;
  size_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    const std::string where = "line " + std::to_string(++number);
    if (line.size() > kMaxLine) return make_error(Errc::invalid_input, where + " is too long");
    std::vector<std::string> words = words_of(line);
    if (number == 1) manifest.description = printable(trim(line));
    if (number == 2) manifest.version = trim(line);
    if (number <= 2) continue;
    if (words.empty() && !manifest.files.empty()) break;
    if (!is_file_line(words)) {
      if (manifest.files.empty() && number <= kMaxHeaderLines) continue;
      return make_error(Errc::invalid_input, where + " is not about a file: \"" + line.substr(0, 120) + "\"");
    }
    if (manifest.files.size() == kMaxFiles) return make_error(Errc::invalid_input, "the manifest has too many files");
    TRY(PackagedFile file, parse_file(std::move(words)).with_context(where));
    manifest.files.push_back(std::move(file));
  }
  TRY_VOID(check_name("version", manifest.version));
  if (manifest.files.empty()) return make_error(Errc::invalid_input, "the manifest names no file");
  return manifest;
}

}  // namespace driverext
