// Machine architectures and their partition types.
#pragma once

#include <span>
#include <string_view>

namespace driverext {

/// GPT partition types of one architecture, from the Discoverable Partitions Specification.
struct Architecture {
  std::string_view name;     ///< as systemd spells it: "x86-64", "arm64"
  std::string_view machine;  ///< as uname -m spells it: "x86_64", "aarch64"
  std::string_view root;
  std::string_view root_verity;
  std::string_view root_verity_signature;
};

std::span<const Architecture> all_architectures();
/// Nothing if the name is not one that extensions are made for.
const Architecture* find_architecture(std::string_view name);
const Architecture* architecture_of_machine(std::string_view uname_machine);

}  // namespace driverext
