// Asking a person for a passphrase or PIN.
#pragma once

#include <string>

#include "base/result.hpp"

namespace driverext::cli {

/// Reads one line from the controlling terminal, whatever standard input is, without showing it.
/// Errors: Errc::not_found if there is no terminal, Errc::transient if a signal came instead.
Result<std::string> ask_on_terminal(const std::string& prompt);

}  // namespace driverext::cli
