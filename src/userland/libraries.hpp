// What the files themselves tell of where they belong: libraries by the names that programs ask for them with.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "userland/layout.hpp"

namespace driverext {

/// The layout of a folder of libraries and programs without a manifest: lib*.so* and executable files that lie in the
/// folder itself. Errors: Errc::invalid_input if there is neither.
Result<UserlandLayout> lay_out_folder(const Dir& folder, Compat32 compat32);

/// Adds the links that ldconfig(8) would make, from a library's own name (SONAME) to its file, where the layout lacks
/// them: nobody runs it on a read-only /usr. Returns the machine that the 64-bit libraries are for ("x86_64"), empty if
/// there are none. Errors: Errc::invalid_input for libraries of several machines, or of 32 bit among the others.
Result<std::string> add_library_names(const Dir& from, UserlandLayout& layout);

}  // namespace driverext
