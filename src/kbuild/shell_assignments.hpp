// Shell assignments: the part of a shell program that can be read without being one.
//
// NAME=WORD and NAME[3]=WORD, with quotes, escapes, line continuations, comments and $NAME, ${NAME}, ${NAME[3]} of what
// was assigned before. What it means is what bash makes of it ("Quoting" and "Shell Parameters" in bash(1)); whatever
// else a shell knows is left to a shell.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// Values by name and index. As in bash a plain variable is its own element 0.
using ShellArrays = std::map<std::string, std::map<unsigned, std::string>>;

/// It is a program: this line is why.
struct NeedsShell {
  size_t line = 0;  ///< counted from 1
  std::string why;
};

struct Assignments {
  ShellArrays values;
  std::optional<NeedsShell> needs_shell;  ///< then the values are not to be used
};

constexpr size_t kMaxShellText = size_t{256} << 10;
constexpr unsigned kMaxShellIndex = 511;
constexpr size_t kMaxShellValue = size_t{64} << 10;
/// All values together, those that were assigned anew included.
constexpr size_t kMaxShellTotal = size_t{1} << 20;
constexpr size_t kMaxShellAssignments = 4096;

/// `before`: what is set already. The result has it too. Errors: Errc::invalid_input if it is beyond the bounds above,
/// or no shell could read it.
Result<Assignments> read_assignments(std::string_view text, const ShellArrays& before);

/// Element 0, or empty.
std::string plain_value(const ShellArrays& arrays, const std::string& name);

}  // namespace driverext
