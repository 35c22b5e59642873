#include "driver/proc_files.hpp"

#include <fnmatch.h>

#include <charconv>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxMatches = 16384;
constexpr int kMaxDepth = 8;
constexpr std::string_view kAnyFolders = "**";

bool is_wildcard(const std::string& part) { return part.find_first_of("*?[") != std::string::npos; }

// "195 name"
std::optional<std::pair<unsigned, std::string>> numbered_name(std::string_view line) {
  const std::string_view entry = trim(line);
  const size_t blank = entry.find_first_of(" \t");
  if (blank == std::string_view::npos) return std::nullopt;
  const auto number = decimal_number(entry.substr(0, blank));
  if (!number) return std::nullopt;
  return std::pair(*number, std::string(trim(entry.substr(blank))));
}

class Finder {
 public:
  Finder(const Dir& root, std::vector<std::string> parts) : root_(root), parts_(std::move(parts)) {}

  Result<void> walk(const std::string& folder, size_t part, int depth) {
    std::string path = folder;
    // A run of plain names needs no looking.
    for (; part < parts_.size() && !is_wildcard(parts_[part]); ++part) path += (path.empty() ? "" : "/") + parts_[part];
    if (part == parts_.size()) return add(std::move(path));
    if (parts_[part] == kAnyFolders) return walk_below(path, part, depth);
    TRY(const std::vector<std::string> names, root_.list(path));
    for (const std::string& name : names) {
      if (::fnmatch(parts_[part].c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
      TRY_VOID(walk(path + "/" + name, part + 1, depth));
    }
    return {};
  }

  std::vector<std::string> finish() && { return std::move(found_); }

 private:
  // "**/rest": here, and in every folder below. What is listed tells files from folders, and what is there.
  Result<void> walk_below(const std::string& folder, size_t part, int depth) {
    if (depth == kMaxDepth) return {};
    TRY(const std::vector<std::string> names, root_.list(folder));
    const bool is_last = part + 2 == parts_.size();
    for (const std::string& name : names) {
      const bool matches = ::fnmatch(parts_[part + 1].c_str(), name.c_str(), FNM_PERIOD) == 0;
      if (matches) TRY_VOID(walk(folder + "/" + name, part + 2, depth + 1));
      // A name without wildcards is a file's: no need to ask.
      if (!matches || !is_last || is_wildcard(parts_[part + 1]))
        TRY_VOID(walk_below(folder + "/" + name, part, depth + 1));
    }
    return {};
  }

  Result<void> add(std::string path) {
    if (found_.size() == kMaxMatches) {
      return make_error(Errc::invalid_input, "there are more files in /proc than a driver can report devices in");
    }
    found_.push_back(std::move(path));
    return {};
  }

  const Dir& root_;
  std::vector<std::string> parts_;
  std::vector<std::string> found_;
};

}  // namespace

std::optional<unsigned> decimal_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<DeviceNumber> parse_device_number(std::string_view text) {
  const std::string_view number = trim(text);
  const size_t colon = number.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major = decimal_number(number.substr(0, colon));
  const auto minor = decimal_number(number.substr(colon + 1));
  if (!major || !minor) return std::nullopt;
  return DeviceNumber{*major, *minor};
}

std::map<std::string, unsigned> parse_proc_devices(std::string_view text) {
  std::map<std::string, unsigned> found;
  bool inside = false;
  for (const std::string& raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    if (line.ends_with(':')) {
      inside = line == "Character devices:";
      continue;
    }
    if (!inside) continue;
    if (auto entry = numbered_name(line)) found.emplace(std::move(entry->second), entry->first);
  }
  return found;
}

std::map<std::string, unsigned> parse_proc_misc(std::string_view text) {
  std::map<std::string, unsigned> found;
  for (const std::string& line : split(text, '\n')) {
    if (auto entry = numbered_name(line)) found.emplace(std::move(entry->second), entry->first);
  }
  return found;
}

std::map<std::string, std::string> parse_key_values(std::string_view text) {
  std::map<std::string, std::string> found;
  for (const std::string& line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    found.emplace(std::string(trim(std::string_view(line).substr(0, colon))),
                  std::string(trim(std::string_view(line).substr(colon + 1))));
  }
  return found;
}

Result<std::vector<std::string>> find_matching(const Dir& root, const std::string& pattern) {
  std::vector<std::string> parts;
  for (std::string& part : split(pattern, '/')) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  Finder finder(root, std::move(parts));
  TRY_VOID(finder.walk("", 0, 0));
  return std::move(finder).finish();
}

}  // namespace driverext
