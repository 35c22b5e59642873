#include "host/facts.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "host/command_line.hpp"
#include "host/hardware.hpp"
#include "host/host_files.hpp"
#include "host/kernel_facts.hpp"
#include "host/module_list.hpp"
#include "host/module_trust.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {

struct Release {
  std::string name;
  bool is_running = true;
};

Result<Release> release_of(const Dir& root, const FactsRequest& request) {
  constexpr const char* kRunning = "proc/sys/kernel/osrelease";
  if (request.kernel_release.empty()) {
    TRY(const std::string text, root.read_file(kRunning, kMaxFact));
    Release running{std::string(trim(text))};
    TRY_VOID(check_name("kernel release", running.name));
    return running;
  }
  TRY_VOID(check_name("kernel release", request.kernel_release));
  return Release{request.kernel_release, trim(read_fact(root, kRunning).value_or("")) == request.kernel_release};
}

std::string systemds_name(const std::string& machine) {
  const Architecture* architecture = architecture_of_machine(machine);
  return architecture != nullptr ? std::string(architecture->name) : machine;
}

// As the running kernel says it; the file is there since Linux 6.1. Empty if it is not.
std::string shown_architecture(const Dir& root) {
  const auto text = read_fact(root, "proc/sys/kernel/arch");
  return text ? systemds_name(std::string(trim(*text))) : std::string();
}

// Of a kernel whose modules cannot be read.
std::string configured_architecture(const Dir& root, const std::string& release) {
  const KernelConfig config = read_kernel_config(root, {release, "", false});
  const auto has = [&](const char* option) {
    const auto found = config.find(option);
    return found != config.end() && found->second == "y";
  };
  if (has("CONFIG_ARM64")) return "arm64";
  if (has("CONFIG_X86_64")) return "x86-64";
  return {};
}

Result<std::string> machine_of_this_process() {
  utsname names{};
  if (::uname(&names) != 0) return os_failure(errno, "cannot ask for the machine's architecture");
  return systemds_name(names.machine);
}

void read_os_release(const Dir& root, Facts& facts) {
  const auto text = read_first_fact(root, {"etc/os-release", "usr/lib/os-release"}, kMaxFact);
  if (!text) return;
  facts.os_id = env_value(*text, "ID");
  facts.os_version_id = env_value(*text, "VERSION_ID");
  facts.os_name = env_value(*text, "PRETTY_NAME");
}

// The first word of each line.
std::vector<std::string> read_loaded_modules(const Dir& root) {
  const auto text = read_fact(root, "proc/modules", size_t{4} << 20);
  if (!text) return {};
  std::vector<std::string> names;
  for (const std::string_view line : lines_of(*text)) {
    const std::string_view name = line.substr(0, line.find(' '));
    if (check_name("module", name)) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> read_command_line(const Dir& root) {
  const auto text = read_fact(root, "proc/cmdline");
  if (!text) return {};
  return command_line_words(*text);
}

std::optional<uint64_t> free_bytes_of(const Dir& root) {
  for (const char* name : {"var/lib/driverext", "var/lib", "var", "."}) {
    const Result<UniqueFd> fd = root.open_file(name, O_PATH | O_DIRECTORY);
    struct statvfs status {};
    if (fd && ::fstatvfs(fd->get(), &status) == 0) return uint64_t{status.f_bavail} * status.f_frsize;
  }
  return {};
}

// Without a word from the running kernel, one of the asked kernel's modules tells.
Result<std::string> architecture_of(const Dir& root, const Release& release, const std::optional<ModuleInfo>& sample) {
  if (std::string shown = shown_architecture(root); !shown.empty()) return shown;
  if (!release.is_running && sample) return systemds_name(sample->machine);
  if (!release.is_running) {
    if (std::string configured = configured_architecture(root, release.name); !configured.empty()) return configured;
  }
  return machine_of_this_process();
}

void read_more(const Dir& root, const FactsRequest& request, ModuleLists lists, const std::optional<ModuleInfo>& sample,
               Facts& facts) {
  const AskedKernel kernel{facts.kernel_release, facts.architecture, facts.is_running};
  if (request.kernel) {
    facts.kernel = read_kernel_facts(root, kernel, facts.loaded_modules, std::move(lists), sample);
  }
  if (request.symbols) {
    if (auto symbols = read_symbol_versions(root, facts.kernel_release)) facts.kernel.symbols = *std::move(symbols);
  }
  if (request.module_trust && facts.is_running) {
    facts.module_trust = read_module_trust(root, facts.command_line, [&] {
      return request.kernel ? facts.kernel.config : read_kernel_config(root, kernel);
    });
  }
  if (request.hardware) {
    auto modaliases = read_modaliases(root);
    facts.hardware_is_known = modaliases.has_value();
    facts.modaliases = std::move(modaliases).value_or(std::vector<std::string>());
  }
}

}  // namespace

Result<Facts> read_facts(const Dir& root) { return read_facts(root, FactsRequest{}); }

Result<Facts> read_facts(const Dir& root, const FactsRequest& request) {
  Facts facts;
  TRY(const Release release, release_of(root, request));
  facts.kernel_release = release.name;
  facts.is_running = release.is_running;
  ModuleLists lists;
  std::optional<ModuleInfo> sample;
  if (request.kernel || !release.is_running) {
    lists = read_module_lists(root, release.name);
    if (lists.paths) sample = read_sample_module(root, release.name, *lists.paths);
  }
  TRY(facts.architecture, architecture_of(root, release, sample));
  read_os_release(root, facts);
  facts.boot_id = trim(read_fact(root, "proc/sys/kernel/random/boot_id").value_or(""));
  if (release.is_running) {
    facts.loaded_modules = read_loaded_modules(root);
    facts.command_line = read_command_line(root);
  }
  facts.free_bytes = free_bytes_of(root);
  read_more(root, request, std::move(lists), sample, facts);
  return facts;
}

}  // namespace driverext
