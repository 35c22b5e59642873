#include "sysext/architecture.hpp"

#include <array>

namespace driverext {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"x86-64", "x86_64", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
                 "41092b05-9fc8-4523-994f-2def0408b176"},
    Architecture{"arm64", "aarch64", "b921b045-1df0-41c3-af44-4c6f280d3fae", "df3300ce-d69f-4c92-978c-9bfb0f38d820",
                 "6db69de6-29f4-4758-a7a5-962190f00ce3"},
};

}  // namespace

std::span<const Architecture> all_architectures() { return kArchitectures; }

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

const Architecture* architecture_of_machine(std::string_view uname_machine) {
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.machine == uname_machine) return &architecture;
  }
  return nullptr;
}

}  // namespace driverext
