// Inserting and removing kernel modules by libkmod.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/kmod.hpp"

namespace driverext {

/// For any number of modules: libkmod reads the host's configuration once.
class ModuleInsertion {
 public:
  /// The path is an ordinary one. Errors carry the errno that the kernel gave.
  Result<void> insert(const std::string& path, const std::string& parameters);

 private:
  kmod::Context context_;
};

Result<void> remove_module(const std::string& name);

}  // namespace driverext
