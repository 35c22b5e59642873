#include "kernel/module_refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <span>
#include <string_view>

#include "base/text.hpp"

namespace driverext {
namespace {

// Of what a driver says itself: they take a dozen lines for it. The loader's own words are told in others already.
constexpr size_t kShownLines = 12;
constexpr size_t kShownOfLoader = 3;
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

// "gpu: `maybe' invalid for parameter `mode'" → "mode"
std::string refused_parameter(const std::vector<std::string>& lines) {
  std::string name = words_behind(lines, "for parameter `");
  std::erase(name, '\'');
  return name;
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
    case EINVAL: {
      const std::string parameter = refused_parameter(lines);
      return parameter.empty() ? "it refuses a parameter, or the hardware as it is"
                               : "it refuses a parameter: " + parameter;
    }
    default:
      return {};
  }
}

// What the module loader itself says, behind the name of the module that it means. Source: kernel/module/{main,version,
// signing}.c, kernel/params.c.
constexpr std::string_view kLoaderWords[] = {"Unknown symbol ",
                                             "disagrees about version of symbol ",
                                             "no symbol version for ",
                                             "exports duplicate symbol ",
                                             "version magic ",
                                             "invalid for parameter ",
                                             "too large for parameter ",
                                             "unknown parameter ",
                                             "is blacklisted"};

// A module is loaded all the same.
constexpr std::string_view kNoReasons[] = {"module verification failed", "taints kernel", "due to kernel taint",
                                           "tainting kernel"};

// Who logs at any time and is no module that a driver could mean, in small letters; a number may follow ("ata1.00").
constexpr std::string_view kOthers[] = {"audit",
                                        "kauditd",
                                        "systemd",
                                        "systemd-journald",
                                        "systemd-udevd",
                                        "usb",
                                        "usbcore",
                                        "hid",
                                        "hid-generic",
                                        "input",
                                        "scsi",
                                        "sd",
                                        "sr",
                                        "ata",
                                        "nvme",
                                        "block",
                                        "loop",
                                        "squashfs",
                                        "erofs",
                                        "ext4-fs",
                                        "xfs",
                                        "btrfs",
                                        "overlayfs",
                                        "bridge",
                                        "device-mapper",
                                        "docker",
                                        "cni",
                                        "eth",
                                        "ipv6",
                                        "netfilter",
                                        "bluetooth",
                                        "cfg80211",
                                        "nf_conntrack",
                                        "random",
                                        "perf",
                                        "clocksource",
                                        "hrtimer",
                                        "watchdog",
                                        "cgroup",
                                        "oom-kill",
                                        "edac",
                                        "mce",
                                        "thermal",
                                        "tpm"};
// Of these each has a name of its own.
constexpr std::string_view kManyOthers[] = {"veth", "br-"};
// A security module's refusal is logged among much else.
constexpr std::string_view kDenied = "{ module_load }";

bool has_any(const std::string& line, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return line.find(word) != std::string::npos; });
}

// "EXT4-fs (sda1): mounted" → "EXT4-fs (sda1)"; empty if nobody is named.
std::string_view speaker_of(std::string_view line) {
  const size_t end = line.find(": ");
  return end == std::string_view::npos ? std::string_view() : line.substr(0, end);
}

// "nouveau 0000:01:00.0" → "nouveau"
std::string speaker_name(std::string_view line) {
  const std::string_view speaker = speaker_of(line);
  std::string name;
  for (const char c : speaker.substr(0, speaker.find_first_of(" ([:"))) {
    name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return name;
}

bool is_of_module(const std::string& line, const std::string& module) {
  return module_name_form(line).find(module) != std::string::npos;
}

// One that is loaded beside it, and none of its own family: nvidia for nvidia_uvm.
bool is_of_other_module(const std::string& name, const std::string& module, const std::vector<std::string>& loaded) {
  const std::string form = module_name_form(name);
  if (module.starts_with(form) || form.starts_with(module)) return false;
  return std::find(loaded.begin(), loaded.end(), form) != loaded.end();
}

// Drivers speak under names of their own: only what is clearly somebody else's is left out.
bool is_clearly_not_about(const std::string& line, const std::string& module, const std::vector<std::string>& loaded) {
  if (trim(line).empty() || has_any(line, kNoReasons)) return true;
  if (is_of_module(line, module) || line.find(kDenied) != std::string::npos) return false;
  if (has_any(line, kLoaderWords)) return true;
  const std::string name = speaker_name(line);
  if (name.empty()) return false;
  const std::string kind = name.substr(0, name.find_first_of("0123456789"));
  const bool is_others = std::any_of(std::begin(kOthers), std::end(kOthers),
                                     [&](std::string_view other) { return name == other || kind == other; }) ||
                         std::any_of(std::begin(kManyOthers), std::end(kManyOthers),
                                     [&](std::string_view prefix) { return name.starts_with(prefix); });
  return is_others || is_of_other_module(name, module, loaded);
}

std::vector<std::string> lines_about(const std::string& module, const std::vector<std::string>& log,
                                     const std::vector<std::string>& loaded) {
  std::vector<std::string> about;
  for (const std::string& line : log) {
    if (!is_clearly_not_about(line, module_name_form(module), loaded)) about.push_back(line);
  }
  return about;
}

// The last ones. What one speaker says in a row is one sentence over several lines, mostly.
std::string quote(const std::vector<std::string>& lines) {
  const bool is_loaders =
      std::any_of(lines.begin(), lines.end(), [](const std::string& line) { return has_any(line, kLoaderWords); });
  const size_t shown = std::min(lines.size(), is_loaders ? kShownOfLoader : kShownLines);
  std::string text;
  std::string_view last;
  for (size_t i = lines.size() - shown; i < lines.size(); ++i) {
    const std::string_view speaker = speaker_of(lines[i]);
    const bool goes_on = !is_loaders && !text.empty() && !speaker.empty() && speaker == last;
    text += goes_on ? " " : text.empty() ? "; it says: " : " / ";
    text +=
        printable(trim(goes_on ? std::string_view(lines[i]).substr(speaker.size() + 1) : std::string_view(lines[i])));
    last = speaker;
  }
  return text;
}

}  // namespace

std::string explain_refusal(int os_error, const std::string& module, const std::vector<std::string>& log,
                            const std::vector<std::string>& loaded) {
  const std::vector<std::string> lines = lines_about(module, log, loaded);
  const std::string meaning = meaning_of(os_error, says(log, "Lockdown:") ? log : lines);
  return (meaning.empty() ? "" : " (" + meaning + ")") + quote(lines);
}

}  // namespace driverext
