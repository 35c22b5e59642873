#include "fixture_hosts.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace driverext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "tests/fixtures/hosts";
constexpr std::string_view kExtension = ".tree";
constexpr std::string_view kSection = "== ";
constexpr std::string_view kHex = " hex";

std::string from_hex_lines(const std::string& text, const std::string& path) {
  std::string digits;
  for (const std::string& line : split(text, '\n')) digits += trim(line);
  const auto bytes = from_hex(digits);
  if (!bytes) throw std::runtime_error(path + " is not hexadecimal");
  return std::string(as_text(*bytes));
}

void plant(std::string heading, const std::string& content, const TempDir& into) {
  const bool is_hex = heading.ends_with(kHex);
  if (is_hex) heading.resize(heading.size() - kHex.size());
  write_file(into / heading, is_hex ? from_hex_lines(content, heading) : content);
}

}  // namespace

std::vector<std::string> fixture_host_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(std::string(DRIVEREXT_SOURCE_ROOT "/") + kFolder)) {
    if (entry.path().extension() == kExtension) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void plant_fixture_host(const std::string& name, const TempDir& into) {
  plant_tree(std::string(kFolder) + "/" + name + std::string(kExtension), into);
}

void plant_tree(const std::string& file, const TempDir& into) {
  const std::string text = source_file(file);
  std::string heading;
  std::string content;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string line = text.substr(begin, end - begin);
    begin = end;
    if (!line.starts_with(kSection)) {
      content += line;
      continue;
    }
    if (!heading.empty()) plant(heading, content, into);
    heading = trim(std::string_view(line).substr(kSection.size()));
    content.clear();
  }
  if (heading.empty()) throw std::runtime_error(file + " has no files");
  plant(heading, content, into);
}

}  // namespace driverext::test
