#include "provisioner/facts.hpp"

#include "base/text.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {
constexpr size_t kMaxFact = 65536;
}

Result<Facts> read_facts(const Dir& root) {
  Facts facts;
  TRY(const std::string release, root.read_file("proc/sys/kernel/osrelease", kMaxFact));
  facts.kernel_release = trim(release);
  TRY_VOID(check_name("kernel release", facts.kernel_release));
  TRY(const std::string machine, root.read_file("proc/sys/kernel/arch", kMaxFact));
  const Architecture* architecture = architecture_of_machine(trim(machine));
  facts.architecture = architecture != nullptr ? architecture->name : trim(machine);
  for (const char* name : {"etc/os-release", "usr/lib/os-release"}) {
    TRY(const std::optional<std::string> text, root.read_if_there(name, kMaxFact));
    if (!text) continue;
    facts.os_id = env_value(*text, "ID");
    facts.os_version_id = env_value(*text, "VERSION_ID");
    break;
  }
  return facts;
}

}  // namespace driverext
