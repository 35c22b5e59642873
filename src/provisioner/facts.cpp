#include "provisioner/facts.hpp"

#include <sys/utsname.h>

#include <cerrno>

#include "base/text.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {
constexpr size_t kMaxFact = 65536;

// As uname -m says it. The file is there since Linux 6.1.
Result<std::string> machine_of(const Dir& root) {
  TRY(const std::optional<std::string> text, root.read_if_there("proc/sys/kernel/arch", kMaxFact));
  if (text) return std::string(trim(*text));
  utsname names{};
  if (::uname(&names) != 0) return os_failure(errno, "cannot ask for the machine's architecture");
  return std::string(names.machine);
}

}  // namespace

Result<Facts> read_facts(const Dir& root) {
  Facts facts;
  TRY(const std::string release, root.read_file("proc/sys/kernel/osrelease", kMaxFact));
  facts.kernel_release = trim(release);
  TRY_VOID(check_name("kernel release", facts.kernel_release));
  TRY(const std::string machine, machine_of(root));
  const Architecture* architecture = architecture_of_machine(machine);
  facts.architecture = architecture != nullptr ? architecture->name : machine;
  TRY(auto os_release, root.read_if_there("etc/os-release", kMaxFact));
  if (!os_release) {
    TRY(os_release, root.read_if_there("usr/lib/os-release", kMaxFact));
  }
  facts.os_id = env_value(os_release.value_or(""), "ID");
  facts.os_version_id = env_value(os_release.value_or(""), "VERSION_ID");
  TRY(const auto boot_id, root.read_if_there("proc/sys/kernel/random/boot_id", kMaxFact));
  facts.boot_id = trim(boot_id.value_or(""));
  return facts;
}

}  // namespace driverext
