// Patterns over kernel releases, as a dkms.conf writes them.
//
// Not the C library's: its regcomp takes 2^n memory for n nested repetitions ("((a+)+)+"), and the file is a
// stranger's.
#pragma once

#include <string>

#include "base/result.hpp"

namespace driverext {

/// Whether a POSIX extended regular expression, as bash's =~ takes it in the C locale, matches somewhere in the text.
/// Time and memory: the product of the two lengths at most. Errors: Errc::invalid_input if it is none, is longer than
/// 512 bytes, or has what no release needs: counts, back references, collating elements, GNU's own escapes.
Result<bool> matches_pattern(const std::string& pattern, const std::string& text);

}  // namespace driverext
