#include "modules/modprobe_config.hpp"

#include <fnmatch.h>

#include <algorithm>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxFile = size_t{1} << 20;
constexpr const char* kFolders[] = {"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d",
                                    "usr/lib/modprobe.d", "lib/modprobe.d"};
constexpr const char* kCommandLine = "the kernel's command line";

// File name → where it is, of the first folder that has it.
Result<std::map<std::string, std::string>> find_files(const Dir& root) {
  std::map<std::string, std::string> found;
  for (const char* folder : kFolders) {
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (name.ends_with(".conf") && !name.starts_with('.')) found.emplace(name, std::string(folder) + "/" + name);
    }
  }
  return found;
}

struct Line {
  std::string text;
  size_t number = 0;  // of its beginning
};

// A backslash joins a line with the next one, or stands for whatever character follows it.
std::vector<Line> lines_of(const std::string& text) {
  std::vector<Line> lines{{{}, 1}};
  size_t number = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escaped = text[i] == '\\' && ++i < text.size();
    if (i == text.size()) break;
    if (text[i] == '\n') ++number;
    if (text[i] != '\n') {
      lines.back().text += text[i];
    } else if (!is_escaped) {
      lines.push_back({{}, number});
    }
  }
  return lines;
}

// Takes the first word off.
std::string_view next_word(std::string_view& rest) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = std::min(rest.find_first_not_of(kBlanks), rest.size());
  const size_t end = std::min(rest.find_first_of(kBlanks, begin), rest.size());
  const std::string_view word = rest.substr(begin, end - begin);
  rest = trim(rest.substr(end));
  return word;
}

// "pre: a b post: c"
SoftDependencies parse_softdeps(const std::string& module, std::string_view words) {
  SoftDependencies softdeps{module, {}, {}};
  std::vector<std::string>* names = nullptr;
  for (std::string_view word = next_word(words); !word.empty(); word = next_word(words)) {
    if (word == "pre:") {
      names = &softdeps.pre;
    } else if (word == "post:") {
      names = &softdeps.post;
    } else if (names != nullptr) {
      names->emplace_back(word);
    }
  }
  return softdeps;
}

void take_line(const Line& line, const std::string& file, ModprobeConfig& config) {
  std::string_view rest = line.text;
  const std::string_view keyword = next_word(rest);
  const std::string module = module_name_form(next_word(rest));
  if (module.empty() || keyword.starts_with('#')) return;
  ModprobeLine said{std::string(rest), file + ":" + std::to_string(line.number)};
  if (keyword == "options") {
    config.options[module].push_back(std::move(said));
  } else if (keyword == "blacklist") {
    config.blacklist.emplace(module, std::move(said));
  } else if (keyword == "install") {
    config.install.insert_or_assign(module, std::move(said));
  } else if (keyword == "softdep") {
    config.softdeps.push_back(parse_softdeps(module, said.value));
  }
}

std::string_view unquoted(std::string_view value) {
  if (!value.starts_with('"')) return value;
  value.remove_prefix(1);
  if (value.ends_with('"')) value.remove_suffix(1);
  return value;
}

void take_word(const std::string& word, ModprobeConfig& config) {
  const size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  if (key.find_first_of("\" \t\n\v\f\r") != std::string::npos) return;  // no name of a parameter
  if (key == "modprobe.blacklist" || key == "module_blacklist") {
    if (equals == std::string::npos) return;
    for (const std::string& module : split(unquoted(std::string_view(word).substr(equals + 1)), ',')) {
      if (!module.empty()) config.blacklist.insert_or_assign(module_name_form(module), ModprobeLine{{}, kCommandLine});
    }
    return;
  }
  const size_t dot = key.find('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == key.size()) return;
  config.command_line[module_name_form(key.substr(0, dot))].push_back({word.substr(dot + 1), kCommandLine});
}

}  // namespace

void parse_modprobe_file(const std::string& text, const std::string& file, ModprobeConfig& config) {
  for (const Line& line : lines_of(text)) take_line(line, file, config);
}

const SoftDependencies* softdeps_of(const ModprobeConfig& config, const std::string& module) {
  const auto found = std::find_if(config.softdeps.begin(), config.softdeps.end(), [&](const SoftDependencies& line) {
    return ::fnmatch(line.module.c_str(), module.c_str(), 0) == 0;
  });
  return found == config.softdeps.end() ? nullptr : &*found;
}

Result<ModprobeConfig> read_modprobe_config(const Dir& root, const std::vector<std::string>& command_line) {
  ModprobeConfig config;
  TRY(const auto files, find_files(root));
  for (const auto& [name, path] : files) {
    if (path == kOwnModprobeFile || path == kOwnConflictsFile) continue;
    TRY(const auto text, root.read_if_there(path, kMaxFile));  // absent: a link that leads nowhere masks a file
    if (!text) continue;
    parse_modprobe_file(*text, root.path_of(path), config);
  }
  for (const std::string& word : command_line) take_word(word, config);
  return config;
}

}  // namespace driverext
