// What the running kernel wants of a module's signature, and whose signatures it knows.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "host/facts.hpp"
#include "host/kernel_config.hpp"

namespace driverext {

/// The certificates in /proc/keys, whatever keyring they are in: the file does not say which. Nothing if it does not
/// show the kernel's own keyrings: then it was read by somebody who may not see them.
///
/// Source: security/keys/proc.c, and crypto/asymmetric_keys: serial, flags, usage, expiry, permissions, user, group,
/// the first nine characters of the type, description. Of a certificate that is its subject and, behind ": ", the
/// subject key identifier or else the serial number; the kernel adds ": X509.rsa", the identifier's last four bytes,
/// and "[]".
std::optional<std::vector<KernelKey>> parse_kernel_keys(std::string_view text);

/// `config` is only called if nothing else tells whether signatures are enforced.
ModuleTrust read_module_trust(const Dir& root, const std::vector<std::string>& command_line,
                              const std::function<KernelConfig()>& config);

}  // namespace driverext
