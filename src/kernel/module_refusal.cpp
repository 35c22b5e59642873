#include "kernel/module_refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kShownLines = 3;
constexpr size_t kShownSymbols = 5;

// What stands behind `words` in the first line that has them, up to a blank; empty if there is none.
std::string word_behind(const std::vector<std::string>& lines, std::string_view words) {
  for (const std::string& line : lines) {
    const size_t at = line.find(words);
    if (at == std::string::npos) continue;
    const std::string_view rest = std::string_view(line).substr(at + words.size());
    return std::string(rest.substr(0, rest.find(' ')));
  }
  return {};
}

// "a, b and 3 more"
std::string words_behind(const std::vector<std::string>& lines, std::string_view words) {
  std::vector<std::string> found;
  for (const std::string& line : lines) {
    const std::string word = word_behind({line}, words);
    if (!word.empty() && std::find(found.begin(), found.end(), word) == found.end()) found.push_back(word);
  }
  std::string text;
  for (size_t i = 0; i < found.size() && i < kShownSymbols; ++i) text += (text.empty() ? "" : ", ") + found[i];
  if (found.size() > kShownSymbols) text += " and " + std::to_string(found.size() - kShownSymbols) + " more";
  return text;
}

bool says(const std::vector<std::string>& lines, std::string_view words) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(words) != std::string::npos; });
}

std::string why_not_executable(const std::vector<std::string>& lines) {
  const std::string symbols = words_behind(lines, "disagrees about version of symbol ");
  if (!symbols.empty()) return "this kernel has another checksum for " + symbols;
  const std::string unversioned = words_behind(lines, "no symbol version for ");
  if (!unversioned.empty()) return "it has no checksum for " + unversioned;
  const std::string doubled = words_behind(lines, "exports duplicate symbol ");
  if (!doubled.empty()) return "another module exports " + doubled + " already";
  for (const std::string& line : lines) {
    if (const size_t at = line.find("version magic "); at != std::string::npos) return line.substr(at);
  }
  return "built for another kernel or configuration";
}

std::string why_not_permitted(const std::vector<std::string>& lines) {
  if (says(lines, "is blacklisted")) return "the kernel's command line has it in module_blacklist=";
  if (says(lines, "Lockdown:")) return "the kernel is locked down, as under Secure Boot, and takes signed modules only";
  return "loading modules is not permitted: kernel.modules_disabled, or missing privileges";
}

std::string meaning_of(int os_error, const std::vector<std::string>& lines) {
  switch (os_error) {
    case ENOEXEC:
      return why_not_executable(lines);
    case EKEYREJECTED:
      return "the kernel only takes modules signed with a key that it knows; the signature of this one is not valid, "
             "or "
             "it has none";
    case ENOKEY:
      return "the kernel only takes modules signed with a key that it knows";
    case EPERM:
      return why_not_permitted(lines);
    case ENOENT: {
      const std::string symbols = words_behind(lines, "Unknown symbol ");
      return symbols.empty() ? "a symbol that it needs is not in this kernel" : "not in this kernel: symbol " + symbols;
    }
    case ENODEV:
      return "it found no device that it could drive";
    case EEXIST:
      return "a module of this name is loaded already";
    case ENOMEM:
      return "the kernel has no memory for it";
    case EBUSY:
      return "something that it needs is in use, or a module of this name is just being loaded or unloaded";
    case EINVAL:
      return "it refuses a parameter, or the hardware as it is";
    default:
      return {};
  }
}

// The lines that are about the module; else the last ones, which may be its own words.
std::vector<std::string> lines_about(const std::string& module, const std::vector<std::string>& log) {
  std::vector<std::string> about;
  for (const std::string& line : log) {
    const std::string form = module_name_form(line);
    if (form.find(module_name_form(module)) != std::string::npos) about.push_back(line);
  }
  return about.empty() ? log : about;
}

}  // namespace

std::string explain_refusal(int os_error, const std::string& module, const std::vector<std::string>& log) {
  const std::vector<std::string> lines = lines_about(module, log);
  const std::string meaning = meaning_of(os_error, says(log, "Lockdown:") ? log : lines);
  std::string text = meaning.empty() ? "" : " (" + meaning + ")";
  for (size_t i = lines.size() > kShownLines ? lines.size() - kShownLines : 0; i < lines.size(); ++i) {
    text += (text.find("; it says: ") == std::string::npos ? "; it says: " : " / ") + printable(lines[i]);
  }
  return text;
}

}  // namespace driverext
