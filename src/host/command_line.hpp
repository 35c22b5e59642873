// The kernel's command line, taken apart as the kernel does it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace driverext {

/// Words of /proc/cmdline: blanks inside double quotes separate none, and quotes may stand around a whole word or
/// around a value. Both come as `key="a b"`, which the kernel takes as a module's parameter; quotes that nothing needs
/// are left out: `key=a`. What is not closed goes as far as the line. Source: next_arg() in the kernel's lib/cmdline.c.
std::vector<std::string> command_line_words(std::string_view line);

}  // namespace driverext
