// A kernel's configuration, wherever a host keeps it.
//
// Source: Documentation/kbuild/kconfig.rst and scripts/kconfig/confdata.c, which writes the file: CONFIG_NAME=VALUE,
// texts in quotes with a backslash before quotes and backslashes, and "# CONFIG_NAME is not set".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "host/host_files.hpp"

namespace driverext {

/// No kernel's configuration is larger: 1/16 of that is usual.
constexpr size_t kMaxKernelConfig = size_t{4} << 20;

/// CONFIG_... → value without quotes; what is not set is not in it.
using KernelConfig = std::map<std::string, std::string>;

/// Errors: Errc::invalid_input with the line, also for a text that is cut off or sets nothing: what is missing in half
/// a file would pass for "not set".
Result<KernelConfig> parse_kernel_config(std::string_view text);

/// proc/config.gz if the kernel runs, else a file beside its modules, in boot, or with its headers; the first one that
/// can be read and is whole. Empty if there is none.
KernelConfig read_kernel_config(const Dir& root, const AskedKernel& kernel);

}  // namespace driverext
