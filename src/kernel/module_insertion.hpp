// Inserting and removing kernel modules by libkmod.
#pragma once

#include <string>

#include "base/result.hpp"

namespace driverext {

/// The path is an ordinary one. Errors carry the errno that the kernel gave.
Result<void> insert_module_file(const std::string& path, const std::string& parameters);
Result<void> remove_module(const std::string& name);

}  // namespace driverext
