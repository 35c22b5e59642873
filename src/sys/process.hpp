// Running another program and waiting for it.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace driverext {

/// Runs argv[0] (looked up in PATH) with this environment added, standard input closed and output
/// kept. Returns the output; an exit status other than 0 is an error that carries its last lines.
Result<std::string> run_program(const std::vector<std::string>& argv,
                                const std::vector<std::string>& added_environment = {});

}  // namespace driverext
