#include "host/host_files.hpp"

#include <algorithm>

namespace driverext {

std::optional<std::string> read_fact(const Dir& root, std::string_view name, size_t max_size) {
  Result<std::string> text = root.read_file(name, max_size);
  if (!text) return {};
  return *std::move(text);
}

std::vector<std::string> beside_modules(const std::string& kernel_release, std::string_view name) {
  const std::string tail = "lib/modules/" + kernel_release + "/" + std::string(name);
  return {"usr/" + tail, tail};
}

std::optional<std::string> read_first_fact(const Dir& root, const std::vector<std::string>& names, size_t max_size) {
  for (const std::string& name : names) {
    if (auto text = read_fact(root, name, max_size)) return text;
  }
  return {};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kBlank = " \t\n";
  std::vector<std::string_view> words;
  size_t begin = line.find_first_not_of(kBlank);
  while (begin != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(kBlank, begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlank, end);
  }
  return words;
}

}  // namespace driverext
