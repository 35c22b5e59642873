// Why the kernel did not take a module, in words: what the errno of finit_module(2) means, and what the kernel logged.
#pragma once

#include <string>
#include <vector>

namespace driverext {

/// " (symbol x is not in this kernel); it says: nvidia: Unknown symbol x (err -2)". `log`: lines from the moment before
/// the module was given to the kernel; all count but those that are clearly of another subsystem, or of another one of
/// the modules that are `loaded`. Source of the wordings: kernel/module/{main,version,signing}.c,
/// security/lockdown/lockdown.c; without them the errno alone is explained.
std::string explain_refusal(int os_error, const std::string& module, const std::vector<std::string>& log,
                            const std::vector<std::string>& loaded = {});

}  // namespace driverext
