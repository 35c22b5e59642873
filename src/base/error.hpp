// Errors: what failed, what the caller may do about it, and where it was noticed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/reason.hpp"

namespace driverext {

/// What a caller may do about an error. `untrusted` is apart from everything else so that no
/// fallback can mistake a bad signature for a missing file.
enum class Errc {
  invalid_input,  ///< the bytes or arguments given are wrong; trying again gives the same
  untrusted,      ///< a signature, hash or trust rule says no
  incompatible,   ///< fine in itself, but not for this host
  not_found,      ///< nothing by that name
  conflict,       ///< something else is in the way and was left as it is
  unsupported,    ///< this kernel or build cannot do it
  transient,      ///< may work later
  system,         ///< a system call failed; see os_error
  internal,       ///< a defect in driverext
};

/// Source position, for messages to developers. (Not std::source_location: clang-tidy 14 stops
/// reading a translation unit that includes it.)
struct Where {
  const char* file = "";
  int line = 0;
};

class [[nodiscard]] Error {
 public:
  Errc code = Errc::internal;
  int os_error = 0;  ///< errno of the call that failed, 0 if none did
  std::string what;
  std::vector<std::string> context;  ///< innermost first
  Where where;
  std::optional<Reason> reason;  ///< set where the failure has a name of its own

  /// "context: context: what: strerror", outermost context first; printable, one line.
  [[nodiscard]] std::string message() const;
};

/// The reason that an error is reported under: its own, or what its errno amounts to.
Reason reason_of(const Error& error);

/// An error without a system call behind it.
Error make_error(Errc code, std::string what, Where where = {__builtin_FILE(), __builtin_LINE()});
/// The same with a reason code of its own.
Error make_error(Errc code, Reason reason, std::string what, Where where = {__builtin_FILE(), __builtin_LINE()});
/// An error from a call that just failed. `os_error` is errno, read before anything else ran.
Error os_failure(int os_error, std::string what, Where where = {__builtin_FILE(), __builtin_LINE()});

}  // namespace driverext
