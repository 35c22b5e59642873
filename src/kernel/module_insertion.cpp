#include "kernel/module_insertion.hpp"

#include <fcntl.h>

#include <cerrno>

namespace driverext {

Result<void> ModuleInsertion::insert(const std::string& path, const std::string& parameters) {
  if (!context_) {
    TRY(context_, kmod::open(nullptr));
  }
  TRY(const kmod::Module module, kmod::module_of_file(context_, path));
  if (const int code = kmod_module_insert_module(module.get(), 0, parameters.c_str()); code != 0) {
    return os_failure(-code, "the kernel refused module " + path);
  }
  return {};
}

Result<void> remove_module(const std::string& name) {
  TRY(const kmod::Context context, kmod::open(nullptr));
  kmod_module* raw = nullptr;
  if (const int code = kmod_module_new_from_name(context.get(), name.c_str(), &raw); code != 0) {
    return os_failure(-code, "cannot name module " + name);
  }
  const kmod::Module module(raw);
  // O_NONBLOCK: a module in use is refused, not waited for.
  if (const int code = kmod_module_remove_module(module.get(), O_NONBLOCK); code != 0 && code != -ENOENT) {
    return os_failure(-code, "cannot unload module " + name);
  }
  return {};
}

}  // namespace driverext
