#include "host/module_trust.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "host/host_files.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxKeys = size_t{4} << 20;
// Of EFI's global variables, which is what the UUID stands for (UEFI specification, "Globally Defined Variables").
constexpr const char* kSecureBoot = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

// Four bytes of attributes, and the variable's one (Documentation/filesystems/efivarfs.rst).
std::optional<bool> read_secure_boot(const Dir& root) {
  const auto variable = read_fact(root, kSecureBoot, 64);
  if (!variable || variable->size() != 5 || static_cast<unsigned char>(variable->back()) > 1) return {};
  return variable->back() == 1;
}

// "none [integrity] confidentiality": the one in brackets counts.
std::string read_lockdown(const Dir& root) {
  const std::string text = read_fact(root, "sys/kernel/security/lockdown").value_or("");
  for (const std::string_view level : {"none", "integrity", "confidentiality"}) {
    if (text.find("[" + std::string(level) + "]") != std::string::npos) return std::string(level);
  }
  return {};
}

std::optional<bool> enforced_by_sysfs(const Dir& root) {
  const auto text = read_fact(root, "sys/module/module/parameters/sig_enforce");
  if (!text) return {};
  if (trim(*text) == "Y") return true;
  if (trim(*text) == "N") return false;
  return {};
}

// The kernel only ever turns this on: "=0" behind "=1" changes nothing (kernel/params.c, param_set_bool_enable_only).
bool enforced_by_command_line(const std::vector<std::string>& words) {
  constexpr std::string_view kParameter = "module.sig_enforce";
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    if (word == kParameter) return true;
    if (!word.starts_with(std::string(kParameter) + "=")) return false;
    const std::string_view value = std::string_view(word).substr(kParameter.size() + 1);
    return value.starts_with('1') || value.starts_with('y') || value.starts_with('Y') || value == "on";
  });
}

std::optional<bool> enforced_by_config(const KernelConfig& config) {
  if (config.empty()) return {};
  const auto force = config.find("CONFIG_MODULE_SIG_FORCE");
  return force != config.end() && force->second == "y";
}

bool is_hex(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// What is behind the first `count` words of a line.
std::string_view behind_words(std::string_view line, size_t count) {
  for (; count != 0; --count) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    line.remove_prefix(std::min(line.find(' '), line.size()));
  }
  return trim(line);
}

// "SUBJECT: IDENTIFIER: X509.rsa LAST_BYTES []"
KernelKey key_of(std::string_view text) {
  KernelKey key;
  const size_t colon = text.rfind(": ");
  if (colon == std::string_view::npos) {
    key.description = text;
    return key;
  }
  const std::string_view name = text.substr(0, colon);
  key.description = name;
  // The kernel shows these only of a subject key identifier; without them it is the serial number that was shown.
  const auto shown = words_of(text.substr(colon + 2));
  const size_t before_id = name.rfind(": ");
  if (shown.size() < 2 || !is_hex(shown[1]) || before_id == std::string_view::npos) return key;
  const std::string_view id = name.substr(before_id + 2);
  if (is_hex(id) && id.size() % 2 == 0 && id.ends_with(shown[1])) key.id = id;
  return key;
}

}  // namespace

std::optional<std::vector<KernelKey>> parse_kernel_keys(std::string_view text) {
  constexpr size_t kFlags = 1;
  constexpr size_t kExpiry = 3;
  constexpr size_t kType = 7;
  bool shows_keyrings = false;
  std::vector<KernelKey> keys;
  std::set<std::string> seen;  // one certificate is often in several keyrings
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> words = words_of(line);
    if (words.size() <= kType + 1 || !is_hex(words[0])) continue;
    if (words[kType] == "keyring" && words[kType + 1].starts_with('.')) shows_keyrings = true;
    if (words[kType] != "asymmetri" && words[kType] != "asymmetric") continue;
    // Revoked, dead, negative, invalidated or expired ones verify nothing.
    if (words[kFlags].find_first_of("RDNi") != std::string_view::npos || words[kExpiry] == "expd") continue;
    KernelKey key = key_of(behind_words(line, kType + 1));
    if (seen.insert(key.description).second) keys.push_back(std::move(key));
  }
  if (!shows_keyrings) return {};
  return keys;
}

ModuleTrust read_module_trust(const Dir& root, const std::vector<std::string>& command_line,
                              const std::function<KernelConfig()>& config) {
  ModuleTrust trust;
  trust.secure_boot = read_secure_boot(root);
  trust.lockdown = read_lockdown(root);
  trust.enforced = enforced_by_sysfs(root);
  if (!trust.enforced && enforced_by_command_line(command_line)) trust.enforced = true;
  if (!trust.enforced) trust.enforced = enforced_by_config(config());
  if (const auto text = read_fact(root, "proc/keys", kMaxKeys)) {
    auto keys = parse_kernel_keys(*text);
    trust.keys_are_known = keys.has_value();
    trust.keys = std::move(keys).value_or(std::vector<KernelKey>());
  }
  return trust;
}

}  // namespace driverext
