// What one kernel is and has: vermagic, configuration, what images need of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/facts.hpp"
#include "host/kernel_config.hpp"
#include "host/module_list.hpp"

namespace driverext {

/// What the kernel's modules would have in vermagic, from its configuration (include/linux/vermagic.h); empty if that
/// does not tell.
std::string derive_vermagic(const AskedKernel& kernel, const KernelConfig& config);

/// All of KernelFacts but the symbols. `loaded` is the content of proc/modules' first column, sorted; of a kernel that
/// does not run, nothing. `sample` is one of its modules.
KernelFacts read_kernel_facts(const Dir& root, const AskedKernel& kernel, const std::vector<std::string>& loaded,
                              ModuleLists lists, const std::optional<ModuleInfo>& sample);

}  // namespace driverext
