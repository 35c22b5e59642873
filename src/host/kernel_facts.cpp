#include "host/kernel_facts.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "host/host_files.hpp"

namespace driverext {
namespace {

/// Something that images need, by its names.
struct Feature {
  Presence KernelFacts::*member;
  const char* module;
  const char* option;
  const char* shown_in;  ///< where the running kernel lists what it has of this; null if nowhere
};

constexpr Feature kFeatures[] = {
    {&KernelFacts::loop, "loop", "CONFIG_BLK_DEV_LOOP", "proc/devices"},
    {&KernelFacts::dm_verity, "dm_verity", "CONFIG_DM_VERITY", nullptr},
    {&KernelFacts::squashfs, "squashfs", "CONFIG_SQUASHFS", "proc/filesystems"},
    {&KernelFacts::erofs, "erofs", "CONFIG_EROFS_FS", "proc/filesystems"},
};

std::string_view value_of(const KernelConfig& config, const std::string& option) {
  const auto found = config.find(option);
  return found == config.end() ? std::string_view() : found->second;
}

bool has_name(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

bool has_name(const std::optional<std::vector<std::string>>& sorted, std::string_view name) {
  return sorted && has_name(*sorted, name);
}

// "  7 loop", "nodev	tmpfs", "	squashfs": the last word of a line.
bool is_shown(const Dir& root, const Feature& feature) {
  if (feature.shown_in == nullptr) return false;
  const auto text = read_fact(root, feature.shown_in);
  if (!text) return false;
  const std::vector<std::string_view> lines = lines_of(*text);
  return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) {
    const std::vector<std::string_view> words = words_of(line);
    return !words.empty() && words.back() == feature.module;
  });
}

// sys/module has the loaded ones, and of those built in the ones with parameters or a version.
bool is_at_work(const Dir& root, const Feature& feature, const std::vector<std::string>& loaded) {
  if (has_name(loaded, feature.module) || is_shown(root, feature)) return true;
  const auto status = root.status("sys/module/" + std::string(feature.module));
  return status && *status;
}

Presence presence_of(const Feature& feature, const KernelConfig& config, const ModuleLists& lists) {
  const std::string_view value = value_of(config, feature.option);
  if (value == "y" || has_name(lists.builtin, feature.module)) return Presence::present;
  if (has_name(lists.on_host, feature.module)) return Presence::loadable;
  if (!config.empty() && value.empty()) return Presence::absent;
  // A module that was configured and is not on the host, or that neither list has.
  if (lists.on_host && (lists.builtin || value == "m")) return Presence::absent;
  return Presence::unknown;
}

}  // namespace

std::string_view presence_name(Presence presence) {
  switch (presence) {
    case Presence::unknown:
      return "unknown";
    case Presence::absent:
      return "absent";
    case Presence::loadable:
      return "loadable";
    case Presence::present:
      return "present";
  }
  return "unknown";
}

std::string KernelFacts::vermagic_flags() const {
  const size_t blank = vermagic.find(' ');
  if (blank == std::string::npos) return {};
  return std::string(trim(std::string_view(vermagic).substr(blank)));
}

std::string derive_vermagic(const AskedKernel& kernel, const KernelConfig& config) {
  const bool is_arm64 = kernel.architecture == "arm64";
  if (config.empty() || (!is_arm64 && kernel.architecture != "x86-64")) return {};
  const auto has = [&](const char* option) { return value_of(config, option) == "y"; };
  // A kernel with randomised structures has their seed in it, which no configuration tells.
  if (has("CONFIG_RANDSTRUCT") || has("CONFIG_GCC_PLUGIN_RANDSTRUCT")) return {};
  std::string vermagic = kernel.release;
  if (has("CONFIG_SMP")) vermagic += " SMP";
  // Before Linux 5.16 the first of these was CONFIG_PREEMPT itself.
  const bool is_preemptible = has("CONFIG_PREEMPT_BUILD") || has("CONFIG_PREEMPT");
  if (is_preemptible && has("CONFIG_PREEMPT_RT")) return {};  // which of the two it calls itself depends on its version
  if (is_preemptible) vermagic += " preempt";
  if (has("CONFIG_PREEMPT_RT")) vermagic += " preempt_rt";
  if (has("CONFIG_MODULE_UNLOAD")) vermagic += " mod_unload";
  if (has("CONFIG_MODVERSIONS")) vermagic += " modversions";
  if (is_arm64) vermagic += " aarch64";
  return vermagic;
}

KernelFacts read_kernel_facts(const Dir& root, const AskedKernel& kernel, const std::vector<std::string>& loaded,
                              ModuleLists lists, const std::optional<ModuleInfo>& sample) {
  KernelFacts facts;
  facts.config = read_kernel_config(root, kernel);
  facts.vermagic = sample ? sample->vermagic : derive_vermagic(kernel, facts.config);
  for (const Feature& feature : kFeatures) {
    facts.*feature.member = kernel.is_running && is_at_work(root, feature, loaded)
                                ? Presence::present
                                : presence_of(feature, facts.config, lists);
  }
  facts.modules_are_known = lists.on_host && lists.builtin;
  facts.builtin = std::move(lists.builtin).value_or(std::vector<std::string>());
  facts.modules = std::move(lists.on_host).value_or(std::vector<std::string>());
  return facts;
}

}  // namespace driverext
